import type { ServerEvent } from './conversation.ts';
import { CallRefused, NoMediaPath } from './failures.ts';

export interface CallHandlers {
  /** The data channel is open: events can be sent. */
  onOpen(): void;
  onEvent(event: ServerEvent): void;
  onVoice(stream: MediaStream): void;
  /** The call is over; `failure` when nobody wanted it to be. */
  onEnded(failure?: unknown): void;
}

export interface CallOptions {
  /** Undefined: listens only. */
  readonly microphone: MediaStream | undefined;
  readonly key: string | undefined;
}

/** No packet came through in this time. */
const CONNECT_MS = 12_000;

/** A connection that is cut for so long is given up; browsers mend shorter ones by themselves. */
const DISCONNECTED_MS = 8000;

/** One conversation with the agent over WebRTC. */
export class Call {
  readonly #peer = new RTCPeerConnection();
  readonly #channel = this.#peer.createDataChannel('oai-events');
  readonly #audio: RTCRtpTransceiver;
  readonly #handlers: CallHandlers;
  readonly #options: CallOptions;
  #deadline: number | undefined;
  #over = false;

  constructor(handlers: CallHandlers, options: CallOptions) {
    this.#handlers = handlers;
    this.#options = options;
    const track = options.microphone?.getAudioTracks()[0];
    this.#audio = this.#peer.addTransceiver(track ?? 'audio', { direction: 'sendrecv' });
    this.#peer.addEventListener('track', ({ streams, track: voice }) => handlers.onVoice(streams[0] ?? new MediaStream([voice])));
    this.#peer.addEventListener('connectionstatechange', () => this.#follow());
    this.#channel.addEventListener('open', () => handlers.onOpen());
    this.#channel.addEventListener('message', ({ data }) => this.#receive(data));
    this.#channel.addEventListener('close', () => this.#end());
  }

  /** @throws CallRefused, TypeError when the gateway cannot be reached */
  async start(): Promise<void> {
    await this.#peer.setLocalDescription();
    const { key } = this.#options;
    const response = await fetch('/v1/realtime/calls', {
      method: 'POST',
      headers: { 'content-type': 'application/sdp', ...(key === undefined ? {} : { authorization: `Bearer ${key}` }) },
      body: this.#peer.localDescription?.sdp ?? '',
    });
    if (!response.ok) throw await refusalOf(response);
    const sdp = await response.text();
    if (this.#over) return;
    this.#deadline = setTimeout(() => this.#end(new NoMediaPath('timeout')), CONNECT_MS);
    await this.#peer.setRemoteDescription({ type: 'answer', sdp });
  }

  send(event: Readonly<Record<string, unknown>> & { readonly type: string }): boolean {
    if (this.#channel.readyState !== 'open') return false;
    this.#channel.send(JSON.stringify(event));
    return true;
  }

  press(key: string): void {
    this.#audio.sender.dtmf?.insertDTMF(key, 120, 60);
  }

  async useMicrophone(stream: MediaStream): Promise<void> {
    await this.#audio.sender.replaceTrack(stream.getAudioTracks()[0] ?? null);
  }

  /** Round-trip time of the media path in milliseconds, as soon as one is known. */
  async roundTripMs(): Promise<number | undefined> {
    for (const entry of (await this.#peer.getStats()).values()) {
      if (entry.type === 'candidate-pair' && entry.nominated && entry.currentRoundTripTime !== undefined)
        return entry.currentRoundTripTime * 1000;
    }
    return undefined;
  }

  hangUp(): void {
    this.#end();
  }

  #follow(): void {
    clearTimeout(this.#deadline);
    switch (this.#peer.connectionState) {
      case 'failed':
        this.#end(new NoMediaPath('failed'));
        break;
      case 'closed':
        this.#end();
        break;
      case 'disconnected':
        this.#deadline = setTimeout(() => this.#end(new NoMediaPath('disconnected')), DISCONNECTED_MS);
        break;
      default:
        break;
    }
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
    clearTimeout(this.#deadline);
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
