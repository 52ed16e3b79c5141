// @vitest-environment node
import { generateKeyPairSync, sign } from 'node:crypto';
import { expect, test } from 'vitest';
import { checkEnvelope, type Envelope, readEnvelope, sha256, signedBytes } from './envelope';

const TYPE = 'application/vnd.in-toto+json';

async function signed(statement: object) {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const der = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }));
  const payload = Buffer.from(JSON.stringify(statement)).toString('base64');
  const envelope: Envelope = { payload, payloadType: TYPE, signatures: [] };
  const sig = sign(null, signedBytes(envelope), privateKey).toString('base64');
  const keyid = (await sha256(der)).replace('sha256:', '');
  envelope.signatures.push({ keyid, sig });
  const bytes = new TextEncoder().encode(JSON.stringify(envelope));
  return { bytes: bytes.buffer as ArrayBuffer, pem: publicKey.export({ type: 'spki', format: 'pem' }).toString() };
}

const statement = { subject: [], predicateType: 'x', predicate: { maru: { previous: 'sha256:before', sequence: 4 } } };

test('what is signed is as the specification says', () => {
  const bytes = signedBytes({ payload: btoa('hi'), payloadType: 'a/b', signatures: [] });
  expect(new TextDecoder().decode(bytes)).toBe('DSSEv1 3 a/b 2 hi');
});

test('a right envelope stands', async () => {
  const { bytes, pem } = await signed(statement);
  const expected = { envelope: await sha256(bytes), previous: 'sha256:before' };
  expect(await checkEnvelope(bytes, expected, pem)).toMatchObject({
    digest: 'right',
    signature: 'right',
    chain: 'right',
    key: 'right',
  });
  expect(readEnvelope(bytes).statement.predicate.maru?.sequence).toBe(4);
});

test('an altered payload, another key and a hole in the chain are told', async () => {
  const { bytes, pem } = await signed(statement);
  const other = await signed(statement);
  const expected = { envelope: await sha256(bytes), previous: 'sha256:before' };
  expect(await checkEnvelope(bytes, expected, other.pem)).toMatchObject({ key: 'wrong', signature: 'wrong' });
  expect(await checkEnvelope(bytes, { ...expected, previous: undefined }, pem)).toMatchObject({ chain: 'wrong' });
  const altered = JSON.parse(new TextDecoder().decode(bytes)) as Envelope;
  altered.payload = btoa(JSON.stringify({ ...statement, predicateType: 'y' }));
  const bad = new TextEncoder().encode(JSON.stringify(altered)).buffer as ArrayBuffer;
  expect(await checkEnvelope(bad, expected, pem)).toMatchObject({ digest: 'wrong', signature: 'wrong', key: 'right' });
  expect(await checkEnvelope(bytes, expected, 'no key')).toMatchObject({ key: 'wrong', signature: 'wrong' });
});
