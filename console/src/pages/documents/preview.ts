/**
 * A document as a frame of this page can show it: the frame has the page's policy, which lets in style sheets with its nonce and no
 * styles of single elements. Widths of columns and pictures become rules.
 */
export function previewOf(html: string, nonce: string): string {
  const rules: string[] = [];
  const body = html.replace(/(<(?:col|img)\b[^<>]*?) style="([^"<>]*)"/g, (_, before: string, style: string) => {
    rules.push(`[data-at="${rules.length}"]{${style}}`);
    return `${before} data-at="${rules.length - 1}"`;
  });
  const sheet = `<style nonce="${nonce}">`;
  return body.replace('<style>', `${sheet}${rules.join('')}</style>${sheet}`);
}
