import { expect, test } from 'vitest';
import { previewOf } from './preview';

test('styles are let in by the nonce, widths become rules, texts stay', () => {
  const html =
    '<head><style>p{color:red}</style></head><col style="width:12.5%"/><img src="data:x" alt="a" style="max-width:80%"/><p>say &lt;col style="x"&gt; aloud</p>';
  expect(previewOf(html, 'n0')).toBe(
    '<head><style nonce="n0">[data-at="0"]{width:12.5%}[data-at="1"]{max-width:80%}</style><style nonce="n0">p{color:red}</style></head><col data-at="0"/><img src="data:x" alt="a" data-at="1"/><p>say &lt;col style="x"&gt; aloud</p>',
  );
});
