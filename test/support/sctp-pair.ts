import type { SctpCloseReason, SctpHandlers } from '../../src/webrtc/sctp/sctp-association.ts';
import { WeriftAssociation } from '../../src/webrtc/sctp/werift-association.ts';
import { loadSctp } from '../../src/webrtc/sctp/werift-sctp.ts';

/** One end of an association, with everything it said. */
export interface SctpEnd {
  readonly association: WeriftAssociation;
  readonly sent: Buffer[];
  readonly messages: { streamId: number; payloadId: number; data: Buffer }[];
  readonly resets: number[];
  readonly faults: unknown[];
  readonly closed: SctpCloseReason[];
  connected: number;
}

/** An end whose packets go wherever `deliver` takes them. */
export async function sctpEnd(deliver: (packet: Buffer) => void, handlers: Partial<SctpHandlers> = {}): Promise<SctpEnd> {
  const sctpClass = await loadSctp();
  const log = { sent: [] as Buffer[], messages: [] as SctpEnd['messages'], resets: [] as number[], faults: [] as unknown[] };
  const end = { ...log, closed: [] as SctpCloseReason[], connected: 0 } as { -readonly [K in keyof SctpEnd]: SctpEnd[K] };
  end.association = new WeriftAssociation(
    sctpClass,
    { localPort: 5000, remotePort: 5000, maxMessageBytes: 256 * 1024 },
    {
      send(packet) {
        end.sent.push(packet);
        deliver(packet);
      },
      onConnected: () => {
        end.connected += 1;
      },
      onMessage: (streamId, payloadId, data) => end.messages.push({ streamId, payloadId, data }),
      onReset: (ids) => end.resets.push(...ids),
      onClosed: (reason) => end.closed.push(reason),
      onFault: (error) => end.faults.push(error),
      ...handlers,
    },
  );
  return end;
}

/** Two ends, joined; `lose` decides for each packet. */
export async function sctpPair(lose: () => boolean = () => false): Promise<[SctpEnd, SctpEnd]> {
  const to = (other: () => SctpEnd) => (packet: Buffer) => {
    // A copy, on another turn: as a datagram would come.
    if (!lose()) setImmediate(() => other().association.handlePacket(Buffer.from(packet)));
  };
  const left: SctpEnd = await sctpEnd(to(() => right));
  const right: SctpEnd = await sctpEnd(to(() => left));
  return [left, right];
}
