import type { Endpoint } from '../base/addresses.ts';
import { CLIENT_ADDRESS_BYTES, ClientAddress } from './client-address.ts';

/** What a relay says of itself every second. */
export interface RelayHello {
  /** Boot id of the transceiver as the relay last heard it, 0 at first: proves that this hello is no recording of an older time. */
  readonly heardBootId: number;
  /** Where clients reach the relay, best first. */
  readonly endpoints: readonly Endpoint[];
}

/** A machine has a handful of addresses; an SDP answer should not list more. */
const MAX_HELLO_ENDPOINTS = 16;

/** Boot id 64 ‖ count 8 ‖ endpoints of 18 bytes. What is no literal address is left out. */
export function writeHello({ heardBootId, endpoints }: RelayHello): Buffer {
  const addresses = endpoints.slice(0, MAX_HELLO_ENDPOINTS).flatMap(({ address, port }) => ClientAddress.of(address, port) ?? []);
  const payload = Buffer.alloc(9 + addresses.length * CLIENT_ADDRESS_BYTES);
  payload.writeBigUInt64BE(BigInt(heardBootId), 0);
  payload[8] = addresses.length;
  for (const [i, each] of addresses.entries()) payload.set(each.bytes, 9 + i * CLIENT_ADDRESS_BYTES);
  return payload;
}

export function readHello(payload: Buffer): RelayHello | undefined {
  if (payload.length < 9) return undefined;
  const count = payload[8] ?? 0;
  if (count > MAX_HELLO_ENDPOINTS || payload.length !== 9 + count * CLIENT_ADDRESS_BYTES) return undefined;
  const endpoints = Array.from({ length: count }, (_, i) => {
    const { address, port } = ClientAddress.read(payload, 9 + i * CLIENT_ADDRESS_BYTES);
    return { address, port };
  });
  return { heardBootId: Number(payload.readBigUInt64BE(0)), endpoints };
}
