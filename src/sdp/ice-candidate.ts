import { isIP } from 'node:net';
import type { Endpoint, TransportAddress } from '../base/addresses.ts';

/** A transport address that ICE may try (RFC 8839 §5.1): only those with a literal address; names are for their owner to resolve. */
export interface IceCandidate extends Endpoint {
  readonly foundation: string;
  readonly component: number;
  readonly transport: 'udp' | 'tcp';
  readonly priority: number;
  readonly type: 'host' | 'srflx' | 'prflx' | 'relay';
  readonly tcpType?: 'active' | 'passive' | 'so';
  /** The session it belongs to, where it says so. */
  readonly ufrag?: string;
}

const TYPES = ['host', 'srflx', 'prflx', 'relay'] as const;
const TCP_TYPES = ['active', 'passive', 'so'] as const;

/** RFC 8445 §5.1.2.2: the type preference of host candidates, the only kind the gateway has. */
const HOST_PREFERENCE = 126;
/** RFC 6544 §4.2 wants TCP below UDP: all of ours stand below all of UDP's, as browsers do it. */
const TCP_HOST_PREFERENCE = 90;
/** RFC 6544 §4.2: the direction preference of a passive host candidate, in the upper three bits of the local preference. */
const PASSIVE_PREFERENCE = 4;

/** Reads the value of a=candidate; undefined for another transport, a name for an address, or nonsense. */
export function parseIceCandidate(value: string): IceCandidate | undefined {
  const [foundation, component, transportText, priority, address, port, typ, typeText, ...extensions] = value.trim().split(/ +/);
  const transport = transportText?.toLowerCase();
  const type = TYPES.find((each) => each === typeText);
  if (!foundation || typ !== 'typ' || !type || (transport !== 'udp' && transport !== 'tcp')) return undefined;
  if (!address || isIP(address) === 0 || !/^\d{1,5}$/.test(port ?? '') || !(Number(port) >= 1 && Number(port) <= 65_535)) return undefined;
  if (!/^\d{1,3}$/.test(component ?? '') || !/^\d{1,10}$/.test(priority ?? '')) return undefined;
  const extension = (name: string): string | undefined => {
    for (let i = 0; i + 1 < extensions.length; i += 2) if (extensions[i] === name) return extensions[i + 1];
    return undefined;
  };
  const tcpType = TCP_TYPES.find((each) => each === extension('tcptype'));
  const ufrag = extension('ufrag');
  return {
    foundation,
    component: Number(component),
    transport,
    priority: Number(priority),
    address,
    port: Number(port),
    type,
    ...(tcpType ? { tcpType } : {}),
    ...(ufrag ? { ufrag } : {}),
  };
}

/** The value of a=candidate for the `index`th of our host addresses; the first is preferred. Over TCP we wait for connections (RFC 6544). */
export function writeHostCandidate({ address, port, transport = 'udp' }: TransportAddress, index: number, ufrag: string): string {
  const isTcp = transport === 'tcp';
  const localPreference = isTcp ? PASSIVE_PREFERENCE * 2 ** 13 + 8191 - index : 65_535 - index;
  const priority = (isTcp ? TCP_HOST_PREFERENCE : HOST_PREFERENCE) * 2 ** 24 + localPreference * 2 ** 8 + 255;
  return `${index + 1} 1 ${transport} ${priority} ${address} ${port} typ host${isTcp ? ' tcptype passive' : ''} ufrag ${ufrag}`;
}
