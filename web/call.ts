import type { ServerEvent } from './conversation.ts';
import { CallRefused, GatewayGone, NoMediaPath } from './failures.ts';

export interface CallHandlers {
  /** The data channel is open: events can be sent. */
  onOpen(): void;
  onEvent(event: ServerEvent): void;
  onVoice(stream: MediaStream): void;
  /** No packets come through; or they do again. */
  onInterrupted(isInterrupted: boolean): void;
  /** The call is over; `failure` when nobody wanted it to be. */
  onEnded(failure?: unknown): void;
}

/** How the audio travels. */
export interface MediaRoute {
  readonly roundTripMs: number;
  readonly protocol: 'UDP' | 'TCP';
}

export interface CallOptions {
  /** Undefined: listens only. */
  readonly microphone: MediaStream | undefined;
  readonly key: string | undefined;
  /** Made beforehand: then the offer need not wait for one. */
  readonly certificate: RTCCertificate | undefined;
}

/** For the calls of this page; undefined when it cannot be made beforehand. */
export async function makeCertificate(): Promise<RTCCertificate | undefined> {
  try {
    return await RTCPeerConnection.generateCertificate({ name: 'ECDSA', namedCurve: 'P-256' } as EcKeyGenParams);
  } catch {
    return undefined;
  }
}

/** No packet came through in this time. */
const CONNECT_MS = 12_000;

/** A connection that is cut for so long is given up; browsers mend shorter ones by themselves. */
const DISCONNECTED_MS = 8000;

/** A gateway that lives answers sooner. */
const ASK_MS = 3000;

/** The stream of the data channel. Both sides know it beforehand, so the gateway's first event needs no channel to be asked for. */
const EVENTS_STREAM = 0;

/** One conversation with the agent over WebRTC. */
export class Call {
  readonly #peer: RTCPeerConnection;
  readonly #channel: RTCDataChannel;
  readonly #audio: RTCRtpTransceiver;
  readonly #handlers: CallHandlers;
  readonly #options: CallOptions;
  #connectBy: number | undefined;
  #mendBy: number | undefined;
  #over = false;

  constructor(handlers: CallHandlers, options: CallOptions) {
    this.#handlers = handlers;
    this.#options = options;
    this.#peer = new RTCPeerConnection(options.certificate && { certificates: [options.certificate] });
    this.#channel = this.#peer.createDataChannel('oai-events', { negotiated: true, id: EVENTS_STREAM });
    const track = options.microphone?.getAudioTracks()[0];
    this.#audio = this.#peer.addTransceiver(track ?? 'audio', { direction: 'sendrecv' });
    this.#peer.addEventListener('track', ({ streams, track: voice }) => handlers.onVoice(streams[0] ?? new MediaStream([voice])));
    this.#peer.addEventListener('connectionstatechange', () => this.#follow());
    this.#channel.addEventListener('open', () => {
      clearTimeout(this.#connectBy);
      handlers.onOpen();
    });
    this.#channel.addEventListener('message', ({ data }) => this.#receive(data));
    this.#channel.addEventListener('close', () => this.#end());
  }

  /** @throws CallRefused, TypeError when the gateway cannot be reached */
  async start(): Promise<void> {
    await this.#peer.setLocalDescription();
    const { key } = this.#options;
    const response = await fetch(`/v1/realtime/calls?dcid=${EVENTS_STREAM}`, {
      method: 'POST',
      headers: { 'content-type': 'application/sdp', ...(key === undefined ? {} : { authorization: `Bearer ${key}` }) },
      body: this.#peer.localDescription?.sdp ?? '',
    });
    if (!response.ok) throw await refusalOf(response);
    const sdp = await response.text();
    if (this.#over) return;
    this.#connectBy = setTimeout(() => this.#end(new NoMediaPath('timeout')), CONNECT_MS);
    await this.#peer.setRemoteDescription({ type: 'answer', sdp });
  }

  send(event: Readonly<Record<string, unknown>> & { readonly type: string }): boolean {
    if (this.#channel.readyState !== 'open') return false;
    this.#channel.send(JSON.stringify(event));
    return true;
  }

  /** False: keys travel with the microphone's audio, and there is none. */
  press(key: string): boolean {
    const { dtmf } = this.#audio.sender;
    if (!dtmf?.canInsertDTMF) return false;
    // What is still to be pressed stays.
    dtmf.insertDTMF(dtmf.toneBuffer + key, 120, 60);
    return true;
  }

  async useMicrophone(stream: MediaStream): Promise<void> {
    await this.#audio.sender.replaceTrack(stream.getAudioTracks()[0] ?? null);
  }

  /** As soon as it is known. */
  async route(): Promise<MediaRoute | undefined> {
    const report = await this.#peer.getStats();
    for (const pair of report.values()) {
      if (pair.type !== 'candidate-pair' || !pair.nominated || pair.currentRoundTripTime === undefined) continue;
      const remote = report.get(pair.remoteCandidateId) as { protocol?: string } | undefined;
      return { roundTripMs: pair.currentRoundTripTime * 1000, protocol: remote?.protocol === 'tcp' ? 'TCP' : 'UDP' };
    }
    return undefined;
  }

  hangUp(): void {
    this.#end();
  }

  #follow(): void {
    clearTimeout(this.#mendBy);
    switch (this.#peer.connectionState) {
      case 'failed':
        this.#end(new NoMediaPath('failed'));
        break;
      case 'closed':
        this.#end();
        break;
      case 'disconnected':
        this.#mendBy = setTimeout(() => this.#end(new NoMediaPath('disconnected')), DISCONNECTED_MS);
        this.#handlers.onInterrupted(true);
        void this.#ask();
        break;
      case 'connected':
        this.#handlers.onInterrupted(false);
        break;
      default:
        break;
    }
  }

  /** Is it the network or the gateway? One that is gone need not be waited for. */
  async #ask(): Promise<void> {
    await fetch('/healthz', { cache: 'no-store', signal: AbortSignal.timeout(ASK_MS) }).catch((thrown: unknown) => {
      if (thrown instanceof TypeError && this.#peer.connectionState === 'disconnected') this.#end(new GatewayGone());
    });
  }

  #receive(data: unknown): void {
    if (typeof data !== 'string') return;
    try {
      const event: unknown = JSON.parse(data);
      if (typeof event === 'object' && event !== null && 'type' in event) this.#handlers.onEvent(event as ServerEvent);
    } catch {
      // What is no JSON is no event.
    }
  }

  #end(failure?: unknown): void {
    if (this.#over) return;
    this.#over = true;
    for (const timer of [this.#connectBy, this.#mendBy]) clearTimeout(timer);
    this.#peer.close();
    this.#handlers.onEnded(failure);
  }
}

async function refusalOf(response: Response): Promise<CallRefused> {
  const retryAfter = Number(response.headers.get('retry-after') ?? Number.NaN);
  const body: unknown = await response.json().catch(() => undefined);
  const message = (body as { error?: { message?: unknown } } | undefined)?.error?.message;
  return new CallRefused(
    response.status,
    typeof message === 'string' ? message : `The gateway answered ${response.status}.`,
    Number.isFinite(retryAfter) ? retryAfter : undefined,
  );
}
