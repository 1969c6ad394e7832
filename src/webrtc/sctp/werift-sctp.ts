/**
 * The parts of werift 0.24.4's SCTP class that are used, most of them private there: the version is pinned, and the tests of this folder fail
 * when a later one differs. Only its SCTP is touched: nothing of it opens a socket or resolves a name.
 */
export interface WeriftSctp {
  associationState: number;
  /** In every packet of the far side that is for this association. */
  localVerificationTag: number;
  remoteVerificationTag: number;
  localTsn: number;
  lastSackedTsn: number;
  advancedPeerAckTsn: number;
  reconfigRequestSeq: number;
  reconfigResponseSeq: number;
  lastReceivedTsn: number | undefined;
  peerAdvertisedRwnd: number;
  ssthresh: number | undefined;
  _inboundStreamsCount: number;
  _inboundStreamsMax: number;
  _outboundStreamsCount: number;
  advertisedRwnd: number;
  readonly sackMisOrdered: ReadonlySet<number>;
  readonly inboundStreams: Readonly<Record<number, { readonly reassembly: readonly WeriftFragment[] }>>;
  readonly outboundQueue: readonly unknown[];
  readonly sentQueue: readonly unknown[];
  readonly reconfigQueue: number[];
  /** Retransmission time-out, seconds. */
  rto: number;
  readonly srtt: number | undefined;
  readonly rttvar: number | undefined;
  onSackReceived: () => Promise<void>;
  readonly onReceive: WeriftEvent<[number, number, Buffer]>;
  readonly onReconfigStreams: WeriftEvent<[number[]]>;
  setState(state: number): void;
  updateRto(sample: number): void;
  transmit(): Promise<void>;
  /** INIT or COOKIE ECHO is repeated; so often that was. */
  timer1Expired(): void;
  readonly timer1Failures: number;
  timer1Cancel(): void;
  getExtensions(parameters: readonly (readonly [number, Buffer])[]): void;
  start(remotePort: number): Promise<void>;
  init(): Promise<void>;
  handleData(packet: Buffer): Promise<void>;
  send(streamId: number, payloadId: number, data: Buffer, options: { ordered: boolean }): Promise<void>;
  transmitReconfigRequest(): Promise<void>;
  stop(): Promise<void>;
}

interface WeriftEvent<Args extends unknown[]> {
  subscribe(listener: (...args: Args) => void): unknown;
}

interface WeriftFragment {
  readonly tsn: number;
  readonly flags: number;
  readonly userData: Buffer;
}

export interface WeriftTransport {
  onData: ((packet: Buffer) => void) | undefined;
  send(packet: Buffer): Promise<void>;
  close(): void;
}

export const WeriftState = { closed: 1, cookieWait: 2, cookieEchoed: 3, established: 4 } as const;

export type WeriftSctpClass = new (transport: WeriftTransport, port: number) => WeriftSctp;

let loading: Promise<WeriftSctpClass> | undefined;

/**
 * Loads werift, once. It takes 150–200 ms of CPU and some 27 MB, so a process that will serve data channels calls this before it says that it is
 * ready; otherwise the first channel stalls everybody's audio.
 */
export function loadSctp(): Promise<WeriftSctpClass> {
  loading ??= import('werift').then(({ RTCSctpTransport }) => {
    // The class itself is not exported: it is taken from an instance.
    const probe = new RTCSctpTransport();
    const nothing = { unSubscribe: () => undefined };
    const dtls = {
      id: 'probe',
      iceTransport: { role: 'controlled' },
      onStateChange: { subscribe: () => nothing },
      sendData: async () => undefined,
    };
    probe.setDtlsTransport(dtls as never);
    return probe.sctp.constructor as unknown as WeriftSctpClass;
  });
  return loading;
}
