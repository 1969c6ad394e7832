import { SRTP_PROFILES, type SrtpProfile } from '../srtp/profile.ts';
import type { HandshakeSettings } from './handshake.ts';
import {
  CipherSuite,
  type ClientHello,
  EMPTY_RENEGOTIATION_INFO,
  type Extensions,
  ExtensionType,
  readNumberList,
  readUseSrtp,
  readVersions,
  writeUseSrtp,
} from './hello.ts';
import type { Group } from './key-share.ts';
import { DTLS_1_2 } from './record.ts';
import { chooseScheme } from './signature.ts';

/** What a server picks from a ClientHello. */
export interface ServerParameters {
  readonly cipherSuite: number;
  readonly group: Group;
  readonly scheme: number;
  readonly profile: SrtpProfile;
  readonly extensions: Extensions;
}

/** Chooses for the server, or undefined when the hello lacks something that we insist on. */
export function chooseServerParameters(hello: ClientHello, settings: HandshakeSettings): ServerParameters | undefined {
  const { extensions, cipherSuites } = hello;
  const isRsa = settings.identity.privateKey.asymmetricKeyType === 'rsa';
  const cipherSuite = isRsa ? CipherSuite.ecdheRsaAes128Gcm : CipherSuite.ecdheEcdsaAes128Gcm;
  if (!cipherSuites.includes(cipherSuite) || !hello.compressions.includes(0) || !readVersions(hello)?.includes(DTLS_1_2)) return undefined;
  if (!extensions.has(ExtensionType.extendedMasterSecret)) return undefined;
  const renegotiation = extensions.get(ExtensionType.renegotiationInfo);
  if (renegotiation && !renegotiation.equals(Buffer.of(0))) return undefined;

  const groups = readNumberList(extensions, ExtensionType.supportedGroups);
  const group = settings.groups.find((each) => groups?.includes(each));
  const scheme = chooseScheme(settings.identity.privateKey, readNumberList(extensions, ExtensionType.signatureAlgorithms) ?? []);
  const offered = readUseSrtp(extensions)?.profiles;
  const profile = settings.srtpProfiles.find((each) => offered?.includes(SRTP_PROFILES[each].id));
  if (!group || scheme === undefined || !profile) return undefined;

  const answer = new Map<number, Buffer>([[ExtensionType.extendedMasterSecret, Buffer.alloc(0)]]);
  if (renegotiation || cipherSuites.includes(EMPTY_RENEGOTIATION_INFO)) answer.set(ExtensionType.renegotiationInfo, Buffer.of(0));
  if (extensions.has(ExtensionType.pointFormats)) answer.set(ExtensionType.pointFormats, Buffer.of(1, 0));
  answer.set(ExtensionType.useSrtp, writeUseSrtp([SRTP_PROFILES[profile].id]));
  return { cipherSuite, group, scheme, profile, extensions: answer };
}
