import { randomText } from '../base/ids.ts';
import { type Attribute, attributeOf, attributesOf, type MediaDescription, type SessionDescription } from './description.ts';
import { parseIceCandidate } from './ice-candidate.ts';
import type { PhoneIce } from './phone-terms.ts';

/** Offered, and of no use: the answer says so, and media goes where m= and c= say (RFC 8839 §4.2.5). */
export const ICE_MISMATCH = 'mismatch';

/**
 * What a phone's offer says of ICE; undefined when it has none, or does ICE-lite as we do (then nobody would check).
 * @returns `mismatch` when the address of the media is none of the candidates: somebody on the way has changed it
 */
export function readIce(media: MediaDescription, session: SessionDescription): PhoneIce['remote'] | typeof ICE_MISMATCH | undefined {
  const either = (name: string): string | undefined => attributeOf(media, name) ?? attributeOf(session, name);
  const ufrag = either('ice-ufrag');
  const pwd = either('ice-pwd');
  // RFC 8839 §5.4: 4 and 22 characters at least, 256 at most.
  if (!ufrag || !pwd || !/^[!-~]{4,256}$/.test(ufrag) || !/^[!-~]{22,256}$/.test(pwd)) return undefined;
  if (attributeOf(session, 'ice-lite') !== undefined) return undefined;
  return isMismatch(media, session) ? ICE_MISMATCH : { ufrag, pwd };
}

function isMismatch(media: MediaDescription, session: SessionDescription): boolean {
  const values = attributesOf(media, 'candidate');
  const candidates = values.map(parseIceCandidate);
  // Nothing to compare with: they come later (RFC 8840), or some are names that only the phone's network knows.
  if (candidates.length === 0 || candidates.some((each) => each === undefined)) return false;
  const address = (media.connection ?? session.connection)?.address;
  // RFC 8840 §4.1.3: so says who has gathered none yet; a phone on hold in the old way, too.
  if (address === '0.0.0.0' || address === '::' || media.port === 9) return false;
  return !candidates.some((each) => each?.component === 1 && each.address === address && each.port === media.port);
}

/** RFC 8445 §5.1.2: host candidates are the only ones we have, and one address is all there is. */
const HOST_PRIORITY = 126 * 2 ** 24 + 65_535 * 2 ** 8;

/** What our line says: credentials, and a candidate for each port. */
export function iceAttributes(
  { local }: PhoneIce,
  at: { readonly address: string; readonly rtpPort: number; readonly rtcpPort: number | undefined },
): Attribute[] {
  const candidate = (component: 1 | 2, port: number): Attribute => ({
    name: 'candidate',
    value: `1 ${component} UDP ${HOST_PRIORITY + 256 - component} ${at.address} ${port} typ host`,
  });
  return [
    { name: 'ice-ufrag', value: local.ufrag },
    { name: 'ice-pwd', value: local.pwd },
    candidate(1, at.rtpPort),
    ...(at.rtcpPort === undefined ? [] : [candidate(2, at.rtcpPort)]),
  ];
}

/** Credentials of ours: the old ones, unless the phone restarts ICE by changing both of its own (RFC 8839 §4.4.1.1.1). */
export function agreeIce(remote: PhoneIce['remote'], previous: PhoneIce | undefined): PhoneIce {
  const restarts = !previous || previous.remote.ufrag !== remote.ufrag || previous.remote.pwd !== remote.pwd;
  // 48 and 144 bits, where RFC 8445 §5.3 asks for 24 and 128.
  return { local: restarts ? { ufrag: iceText(8), pwd: iceText(24) } : previous.local, remote };
}

/** Credentials for an offer of ours, until its answer says those of the other side. */
export function offeredIce(): PhoneIce {
  return { local: { ufrag: iceText(8), pwd: iceText(24) }, remote: { ufrag: '', pwd: '' } };
}

function iceText(characters: number): string {
  return randomText(characters).replaceAll('-', '+').replaceAll('_', '/');
}
