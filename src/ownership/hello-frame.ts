import type { TransportAddress } from '../base/addresses.ts';
import { CLIENT_ADDRESS_BYTES, ClientAddress } from './client-address.ts';

/** What a relay says of itself every second. */
export interface RelayHello {
  /** Boot id of the transceiver as the relay last heard it, 0 at first: proves that this hello is no recording of an older time. */
  readonly heardBootId: number;
  /** Where clients reach the relay, best first. */
  readonly endpoints: readonly TransportAddress[];
}

/** A machine has a handful of addresses; an SDP answer should not list more. */
const MAX_HELLO_ENDPOINTS = 16;

/** Protocol numbers of IP. */
const TRANSPORTS = { udp: 17, tcp: 6 } as const;
const HEADER_BYTES = 9;
const ENDPOINT_BYTES = 1 + CLIENT_ADDRESS_BYTES;

/** Boot id 64 ‖ count 8 ‖ endpoints: transport 8 ‖ address and port. What is no literal address is left out. */
export function writeHello({ heardBootId, endpoints }: RelayHello): Buffer {
  const known = endpoints.slice(0, MAX_HELLO_ENDPOINTS).flatMap(({ address, port, transport = 'udp' }) => {
    const at = ClientAddress.of(address, port);
    return at ? { bytes: at.bytes, transport } : [];
  });
  const payload = Buffer.alloc(HEADER_BYTES + known.length * ENDPOINT_BYTES);
  payload.writeBigUInt64BE(BigInt(heardBootId), 0);
  payload[8] = known.length;
  for (const [i, { bytes, transport }] of known.entries()) {
    payload[HEADER_BYTES + i * ENDPOINT_BYTES] = TRANSPORTS[transport];
    payload.set(bytes, HEADER_BYTES + i * ENDPOINT_BYTES + 1);
  }
  return payload;
}

export function readHello(payload: Buffer): RelayHello | undefined {
  if (payload.length < HEADER_BYTES) return undefined;
  const count = payload[8] ?? 0;
  if (count > MAX_HELLO_ENDPOINTS || payload.length !== HEADER_BYTES + count * ENDPOINT_BYTES) return undefined;
  const endpoints: TransportAddress[] = [];
  for (let at = HEADER_BYTES; at < payload.length; at += ENDPOINT_BYTES) {
    const code = payload[at];
    const { address, port } = ClientAddress.read(payload, at + 1);
    if (code === TRANSPORTS.udp) endpoints.push({ address, port, transport: 'udp' });
    else if (code === TRANSPORTS.tcp) endpoints.push({ address, port, transport: 'tcp' });
  }
  return { heardBootId: Number(payload.readBigUInt64BE(0)), endpoints };
}
