/** The nonce of this page's answer: style elements made at run time carry it (content security policy). */
export function pageNonce(): string {
  return document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? '';
}
