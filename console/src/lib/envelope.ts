// DSSE envelopes, checked in the browser itself: the digest of the bytes, the signature, the place in the chain.
// docs/formats/evidence.md says what is checked and how.

export interface Envelope {
  payload: string;
  payloadType: string;
  signatures: { keyid: string; sig: string }[];
}

export interface Statement {
  _type: string;
  subject: { name: string; digest: Record<string, string>; annotations?: Record<string, unknown> }[];
  predicateType: string;
  predicate: { maru?: Recorded } & Record<string, unknown>;
}

/** What every predicate of Maru's has. */
export interface Recorded {
  project?: string;
  sequence?: number;
  previous?: string;
  recorded?: string;
  raw?: string;
  cases?: { name: string; outcome: string; note?: string }[];
}

/** `unknown`: this browser cannot tell. */
export type Answer = 'right' | 'wrong' | 'unknown';

export interface Checked {
  digest: Answer;
  signature: Answer;
  chain: Answer;
  /** The id of the key that is said to have signed, and whether the key that was handed over has this id. */
  key: Answer;
  keyId: string;
}

export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

export function toHex(bytes: ArrayBuffer): string {
  return [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

export async function sha256(bytes: BufferSource): Promise<string> {
  return `sha256:${toHex(await crypto.subtle.digest('SHA-256', bytes))}`;
}

export function readEnvelope(bytes: ArrayBuffer): { envelope: Envelope; statement: Statement } {
  const envelope = JSON.parse(new TextDecoder().decode(bytes)) as Envelope;
  const statement = JSON.parse(new TextDecoder().decode(fromBase64(envelope.payload))) as Statement;
  return { envelope, statement };
}

/** The bytes that are signed: DSSE 1.0, "pre-authentication encoding". */
export function signedBytes(envelope: Envelope): Uint8Array<ArrayBuffer> {
  const payload = fromBase64(envelope.payload);
  const type = new TextEncoder().encode(envelope.payloadType);
  const head = new TextEncoder().encode(`DSSEv1 ${type.length} ${envelope.payloadType} ${payload.length} `);
  const all = new Uint8Array(head.length + payload.length);
  all.set(head);
  all.set(payload, head.length);
  return all;
}

/** Checks an envelope against the digest that its object names, the key, and the record that is said to be before it. */
export async function checkEnvelope(
  bytes: ArrayBuffer,
  expected: { envelope: string; previous: string | undefined },
  pem: string,
): Promise<Checked> {
  const { envelope, statement } = readEnvelope(bytes);
  const [signature] = envelope.signatures;
  const keyId = signature?.keyid ?? '';
  const recorded = statement.predicate.maru?.previous;
  const checked: Checked = {
    digest: (await sha256(bytes)) === expected.envelope ? 'right' : 'wrong',
    chain: recorded === expected.previous ? 'right' : 'wrong',
    signature: 'wrong',
    key: 'wrong',
    keyId,
  };
  const der = readPem(pem);
  if (signature === undefined || der === undefined) return checked;
  checked.key = (await sha256(der)) === `sha256:${keyId}` ? 'right' : 'wrong';
  try {
    const key = await crypto.subtle.importKey('spki', der, { name: 'Ed25519' }, false, ['verify']);
    const isRight = await crypto.subtle.verify('Ed25519', key, fromBase64(signature.sig), signedBytes(envelope));
    checked.signature = isRight ? 'right' : 'wrong';
  } catch {
    checked.signature = 'unknown';
  }
  return checked;
}

function readPem(pem: string): Uint8Array<ArrayBuffer> | undefined {
  const inner = /-----BEGIN PUBLIC KEY-----([\s\S]*?)-----END PUBLIC KEY-----/.exec(pem)?.[1];
  return inner === undefined ? undefined : fromBase64(inner.replaceAll(/\s/g, ''));
}
