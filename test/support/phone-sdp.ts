import type { Endpoint } from './endpoint.ts';

export type PhoneCodec = 'PCMU' | 'PCMA' | 'CN' | 'telephone-event';

const TYPES = { PCMU: 0, PCMA: 8, CN: 13 } as const;

export interface PhoneSdpOptions {
  /** In order of preference. */
  readonly codecs?: readonly PhoneCodec[];
  readonly direction?: 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';
  /** Payload type of telephone-event; 101 unless given. */
  readonly telephoneEventType?: number;
  readonly version?: number;
  /** The packets it would like; 20 unless given. */
  readonly ptimeMs?: number;
  /** Another address or port than the phone's own in c= and m=. */
  readonly media?: Partial<Endpoint>;
  /** More lines at the end of the audio section, without line ends. */
  readonly lines?: readonly string[];
}

/** The session description of a plain phone. */
export function phoneSdp(local: Endpoint, rtcp: Endpoint | undefined, options: PhoneSdpOptions = {}): string {
  const {
    codecs = ['PCMU', 'PCMA', 'telephone-event'],
    telephoneEventType = 101,
    direction = 'sendrecv',
    version = 1,
    ptimeMs = 20,
    lines = [],
  } = options;
  const types = { ...TYPES, 'telephone-event': telephoneEventType };
  const { address, port } = { ...local, ...options.media };
  const family = address.includes(':') ? 'IP6' : 'IP4';
  return [
    'v=0',
    `o=phone 4711 ${version} IN ${family} ${local.address}`,
    's=-',
    `c=IN ${family} ${address}`,
    't=0 0',
    `m=audio ${port} RTP/AVP ${codecs.map((codec) => types[codec]).join(' ')}`,
    ...codecs.map((codec) => `a=rtpmap:${types[codec]} ${codec}/8000`),
    ...(codecs.includes('telephone-event') ? [`a=fmtp:${telephoneEventType} 0-15`] : []),
    ...(rtcp && rtcp.port !== local.port + 1 ? [`a=rtcp:${rtcp.port}`] : []),
    `a=ptime:${ptimeMs}`,
    `a=${direction}`,
    ...lines,
    '',
  ].join('\r\n');
}

export interface PhoneMedia {
  readonly rtp: Endpoint;
  readonly rtcp: Endpoint;
  /** In the order given. */
  readonly payloadTypes: readonly number[];
  readonly direction: string;
  /** Payload type of telephone-event, if any. */
  readonly telephoneEventType: number | undefined;
}

/** What the other side's first audio section says; undefined without one or when it is refused (port 0). */
export function readPhoneMedia(sdp: string): PhoneMedia | undefined {
  const start = sdp.search(/^m=audio /m);
  if (start < 0) return undefined;
  const session = sdp.slice(0, sdp.search(/^m=/m));
  const rest = sdp.slice(start);
  const next = rest.slice(2).search(/^m=/m);
  const section = next < 0 ? rest : rest.slice(0, next + 2);
  const [, portText, types = ''] = /^m=audio (\d+)\S* \S+ ([\d ]+)/.exec(section) ?? [];
  const port = Number(portText);
  const address = /^c=IN IP[46] (\S+)/m.exec(section)?.[1] ?? /^c=IN IP[46] (\S+)/m.exec(session)?.[1];
  if (!address || !port) return undefined;
  const rtcp = /^a=rtcp:(\d+)(?: IN IP[46] (\S+))?/m.exec(section);
  const event = /^a=rtpmap:(\d+) telephone-event\/8000/im.exec(section)?.[1];
  return {
    rtp: { address, port },
    rtcp: { address: rtcp?.[2] ?? address, port: rtcp?.[1] ? Number(rtcp[1]) : port + 1 },
    payloadTypes: types.trim().split(/\s+/).map(Number),
    direction:
      /^a=(sendrecv|sendonly|recvonly|inactive)/m.exec(section)?.[1] ??
      /^a=(sendrecv|sendonly|recvonly|inactive)/m.exec(session)?.[1] ??
      'sendrecv',
    telephoneEventType: event === undefined ? undefined : Number(event),
  };
}
