import { isIP } from 'node:net';
import type { PeerCertificate } from 'node:tls';
import { canonicalAddress } from '../../base/addresses.ts';

/**
 * Whether a certificate speaks for a SIP domain (RFC 5922 §7.1, §7.2): by a sip: URI among its alternative names, else by a DNS name, else, where it
 * has neither, by its common name. Names are compared whole: `*.example.com` stands for itself only, so who wants such a certificate says so.
 * @param name a domain, or an address where none was asked for
 * @returns what is wrong, in words; undefined when it does
 */
export function certificateMismatch(name: string, { subject, subjectaltname = '' }: PeerCertificate): string | undefined {
  const wanted = name.toLowerCase();
  const names = namesIn(subjectaltname);
  const of = (kind: string): string[] => names.flatMap((each) => (each.startsWith(kind) ? [each.slice(kind.length).toLowerCase()] : []));
  if (isIP(name) !== 0) {
    const address = canonicalAddress(name);
    const fits = of('IP Address:').some((each) => canonicalAddress(each) === address);
    return fits ? undefined : `its certificate does not name ${name}`;
  }
  const uris = of('URI:').flatMap((uri) => (/^sips?:[^@;?]+$/.test(uri) ? [uri.replace(/^sips?:/, '')] : []));
  const domains = of('DNS:');
  const common = [subject?.CN].flat().flatMap((each) => (typeof each === 'string' ? [each.toLowerCase()] : []));
  const candidates = uris.length > 0 ? uris : domains.length > 0 ? domains : common;
  if (candidates.includes(wanted)) return undefined;
  const shown = candidates.slice(0, 4).join(', ').slice(0, 200);
  return `its certificate does not name ${name}${shown === '' ? '' : `, but ${shown}`}`;
}

/** One `KIND:name`. Node.js writes a name that could be taken for several as a JSON string. */
const NAME = /([A-Za-z ]+:)(?:("(?:[^"\\]|\\.)*")|([^",]*))(?:, |$)/y;

/** The alternative names, each with its kind; none where the text is not of that form, rather than one that nobody has signed. */
function namesIn(text: string): string[] {
  const found: string[] = [];
  for (let at = 0; at < text.length; at = NAME.lastIndex) {
    NAME.lastIndex = at;
    const [, kind = '', quoted, plain = ''] = NAME.exec(text) ?? [];
    if (kind === '') return [];
    found.push(kind + (quoted === undefined ? plain : unquoted(quoted)));
  }
  return found;
}

function unquoted(text: string): string {
  try {
    return String(JSON.parse(text));
  } catch {
    return '';
  }
}
