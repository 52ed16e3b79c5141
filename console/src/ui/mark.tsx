/** The mark: boards of a wooden floor. */
export function Mark(props: { size: number }) {
  return (
    <svg width={props.size} height={props.size} viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="7" fill="#0b7285" />
      <path d="M5 11h22M5 17h22M5 23h22" stroke="#fff" strokeWidth="2.6" strokeLinecap="round" />
      <path d="M11 11v6M20 17v6M16 23v3M22 7v4" stroke="#fff" strokeWidth="2.2" strokeLinecap="round" />
    </svg>
  );
}
