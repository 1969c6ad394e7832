/** One rule: a whole number, or with `*` at its end a beginning; so many characters are cut off, and this is put before. */
export interface NumberRule {
  readonly match: string;
  readonly strip: number;
  readonly add: string;
}

/** How numbers are rewritten between a trunk and us. */
export interface NumberRules {
  /** Makes +… of national and international numbers that come in, before the rules. */
  readonly country?: { readonly code: string; readonly national: string; readonly international: string };
  readonly inbound: { readonly caller: readonly NumberRule[]; readonly called: readonly NumberRule[] };
  readonly outbound: { readonly caller: readonly NumberRule[]; readonly called: readonly NumberRule[] };
}

/** What carriers write: digits behind a plus, or digits. Names and short codes are left as they are. */
const DIGITS = /^\+?\d{5,32}$/;

/** A number as the inside writes it (E.164 with its plus). */
export function rewriteInbound(number: string, which: 'caller' | 'called', rules: NumberRules | undefined): string {
  if (!rules) return number;
  return applyRules(internationalised(number, rules.country), rules.inbound[which]);
}

/** A number as the trunk wants it. */
export function rewriteOutbound(number: string, which: 'caller' | 'called', rules: NumberRules | undefined): string {
  return rules ? applyRules(number, rules.outbound[which]) : number;
}

function internationalised(number: string, country: NumberRules['country']): string {
  if (!country || number.startsWith('+') || !DIGITS.test(number)) return number;
  const { code, national, international } = country;
  if (number.startsWith(international)) return `+${number.slice(international.length)}`;
  return number.startsWith(national) ? `+${code}${number.slice(national.length)}` : number;
}

/** The first rule that fits; linear in rules and digits. */
function applyRules(number: string, rules: readonly NumberRule[]): string {
  const rule = rules.find(({ match }) => (match.endsWith('*') ? number.startsWith(match.slice(0, -1)) : number === match));
  // A number shorter than what is cut off would leave nothing to dial, or nobody who calls.
  return (rule && `${rule.add}${number.slice(rule.strip)}`) || number;
}
