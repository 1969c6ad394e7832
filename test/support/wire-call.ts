import WebSocket from 'ws';
import { type Endpoint, endpointText } from './endpoint.ts';
import { decodeG711, encodeG711 } from './g711.ts';
import type { PhoneCall } from './phone-call.ts';
import type { RtpArrival } from './recording.ts';
import type { RtpPhone, Said } from './rtp-phone.ts';
import { type ResponseAsk, ScriptedUpstream, type UpstreamSession, type WireEvent } from './scripted-upstream.ts';
import type { Switchhook } from './switchhook.ts';
import { EventLog } from './wait.ts';

/** Something that a program was told, and when (performance.now() ms). */
export interface ToldEvent {
  readonly at: number;
  readonly type: string;
  readonly [field: string]: unknown;
}

/** What the model is to say, one for each time it is asked; 24 kHz. */
export type Sentences = readonly Int16Array[];

/** Audio that the model sends at once; the rest follows in pieces, so that the test's own packets are not late. */
const AT_ONCE_MS = 1000;
const PIECE_MS = 500;
const BETWEEN_PIECES_MS = 10;

/** What one model said, as its server knows it. */
export interface SpokenItem {
  readonly itemId: string;
  readonly pcm: Int16Array;
  readonly askedAt: number;
  readonly saidAt: number;
}

interface Script {
  readonly spoken: EventLog<SpokenItem>;
  readonly left: Int16Array[];
}

/** A model server that says what the calls were opened with. */
export class WireModel {
  readonly #scripts: Script[] = [];
  #server: ScriptedUpstream | undefined;

  static async start(): Promise<WireModel> {
    const model = new WireModel();
    model.#server = await ScriptedUpstream.start({ respond: (session, ask) => model.#respond(session, ask) });
    return model;
  }

  get server(): ScriptedUpstream {
    if (!this.#server) throw new Error('not started');
    return this.#server;
  }

  /** For the configuration file of a gateway. */
  get config(): string {
    return `callers: anyone\nmodel: {type: realtime, profile: generic, url: '${this.server.url}', model: any, greet: true}\n`;
  }

  /** The next session's. Sessions are made one after the other. */
  expect(sentences: Sentences): Script {
    const script = { spoken: new EventLog<SpokenItem>(), left: [...sentences] };
    this.#scripts.push(script);
    return script;
  }

  get expected(): number {
    return this.#scripts.length;
  }

  stop(): Promise<void> {
    return this.server.stop();
  }

  #respond(session: UpstreamSession, ask: ResponseAsk): void {
    const askedAt = performance.now();
    const script = this.#scripts[this.server.sessions.all.indexOf(session)];
    const pcm = script?.left.shift() ?? new Int16Array(480);
    const begun = session.beginSpeech(ask);
    script?.spoken.push({ itemId: begun.itemId, pcm, askedAt, saidAt: performance.now() });
    speakInPieces(session, begun, pcm);
  }
}

/** A phone call whose model is scripted, with a program that looks into it: all that can be seen of a conversation from outside. */
export class WireCall {
  readonly call: PhoneCall;
  readonly spoken: EventLog<SpokenItem>;
  readonly told = new EventLog<ToldEvent>();
  /** What the gateway asked of the model's server, with the time. */
  readonly asked = new EventLog<{ readonly at: number; readonly event: WireEvent }>();
  /** Every packet of the phone. */
  readonly sent: { readonly at: number; readonly payload: Uint8Array }[] = [];
  readonly #program: WebSocket;

  private constructor(
    call: PhoneCall,
    {
      upstream,
      spoken,
      program,
      line,
    }: { upstream: UpstreamSession; spoken: Script['spoken']; program: WebSocket; line: EchoOptions | undefined },
  ) {
    this.call = call;
    this.spoken = spoken;
    this.#program = program;
    const echo = line && new Echo(line);
    this.media.arrivals.follow((each) => each.payloadType === 0 && echo?.play(each.payload));
    this.media.mangle = (packet) => {
      const payload = echo && packet.payloadType === 0 ? echo.add(packet.payload) : packet.payload;
      this.sent.push({ at: performance.now(), payload });
      return { ...packet, payload };
    };
    upstream.received.follow((event) => this.asked.push({ at: performance.now(), event }));
    program.on('message', (data: Buffer) => {
      this.told.push({ ...(JSON.parse(data.toString('utf8')) as { type: string }), at: performance.now() });
    });
  }

  /** Calls, and waits until the program is in; one call after the other. The model says its first sentence when the call is answered. */
  static async open(
    hook: Switchhook,
    gateway: { readonly sip: Endpoint; readonly http: Endpoint },
    model: WireModel,
    sentences: Sentences,
    line?: EchoOptions,
  ): Promise<WireCall> {
    const { spoken } = model.expect(sentences);
    const before = new Set((await listed(gateway.http)).map(({ id }) => id));
    const call = await hook.call(gateway.sip);
    const upstream = await model.server.session(model.expected);
    const id = (await listed(gateway.http)).find((each) => !before.has(each.id))?.id ?? '';
    const program = new WebSocket(`ws://${endpointText(gateway.http)}/v1/realtime?call_id=${id}`, ['realtime']);
    const wire = new WireCall(call, { upstream, spoken, program, line });
    await wire.told.find(({ type }) => type === 'session.created', 5000, 'the program in the call');
    return wire;
  }

  get media(): RtpPhone {
    return this.call.media;
  }

  /** Waits for the n-th item of the model (from 0), and for its first sound at the phone. */
  async sounds(n: number, deadlineMs = 10_000): Promise<RtpArrival> {
    await this.spoken.reach(n + 1, deadlineMs, 'items of the model');
    const { saidAt } = this.spoken.all[n] as SpokenItem;
    return this.media.arrivals.find((each) => each.at >= saidAt && isLoud(each), deadlineMs, `the sound of item ${n}`);
  }

  /** Says something whose first sample stands so far into its packet (0 to 159). */
  say(clip: Int16Array, lead = 0): Promise<Said> {
    const padded = new Int16Array(lead + clip.length);
    padded.set(clip, lead);
    return this.media.say(padded);
  }

  /** Waits for something that a program is told. */
  event(type: string, from = 0, deadlineMs = 10_000): Promise<ToldEvent> {
    return this.told.find((each) => each.type === type, deadlineMs, type, from);
  }

  async close(): Promise<void> {
    this.#program.close();
    if (!this.call.over) await this.call.bye();
  }
}

function speakInPieces(session: UpstreamSession, begun: ReturnType<UpstreamSession['beginSpeech']>, pcm: Int16Array): void {
  session.speak(begun, pcm.subarray(0, AT_ONCE_MS * 24));
  const step = (at: number): void => {
    if (session.closed) return;
    if (at >= pcm.length) {
      session.endSpeech(begun, 'la la la');
      return;
    }
    session.speak(begun, pcm.subarray(at, at + PIECE_MS * 24));
    setTimeout(() => step(at + PIECE_MS * 24), BETWEEN_PIECES_MS);
  };
  setTimeout(() => step(AT_ONCE_MS * 24), BETWEEN_PIECES_MS);
}

async function listed(http: Endpoint): Promise<readonly { readonly id: string }[]> {
  const response = await fetch(`http://${endpointText(http)}/v1/realtime/calls`);
  return ((await response.json()) as { data: { id: string }[] }).data;
}

/** Quieter is silence: the least steps of the law, and what a codec leaves of a cut. */
export const SILENT_BELOW = 17;

export function isLoud({ payloadType, payload }: RtpArrival): boolean {
  return payloadType === 0 && decodeG711('PCMU', payload).some((sample) => Math.abs(sample) > 200);
}

/** A telephone's lowest tone is 300 Hz. Below, a codec's offset dies away for some 80 ms after speech, which nobody hears. */
const HIGH_PASS = 0.9;

/** What is heard of it: without offset and rumble (-3 dB at 130 Hz). */
export function audible(samples: Int16Array): Int16Array {
  const out = new Int16Array(samples.length);
  let before = 0;
  let level = 0;
  for (const [n, sample] of samples.entries()) {
    level = HIGH_PASS * (level + sample - before);
    before = sample;
    out[n] = Math.max(-32_768, Math.min(32_767, Math.round(level)));
  }
  return out;
}

/** Where a pause of at least `ms` begins, from this sample on: the first sample behind the last sounding one. @public for the bench, which imports by name at run time */
export function silenceFrom(samples: Int16Array, from: number, ms = 80): number | undefined {
  let quiet = 0;
  for (let n = Math.max(0, from); n < samples.length; n++) {
    quiet = Math.abs(samples[n] as number) < SILENT_BELOW ? quiet + 1 : 0;
    if (quiet >= ms * 8) return n + 1 - quiet;
  }
  return undefined;
}

/** The first sounding sample from here on. @public as silenceFrom */
export function soundFrom(samples: Int16Array, from: number): number | undefined {
  for (let n = Math.max(0, from); n < samples.length; n++) if (Math.abs(samples[n] as number) >= SILENT_BELOW) return n;
  return undefined;
}

/** A line that brings back what the phone plays. */
export interface EchoOptions {
  readonly delayMs: number;
  /** Each: delay in samples beyond `delayMs`, gain. */
  readonly taps: readonly (readonly [number, number])[];
}

/** What an ordinary phone keeps before it drops: nothing else may make its echo late. */
const MOST_WAITING = 3;

/** Plays what arrives as it comes, 20 ms at a time, and gives its echo. */
class Echo {
  readonly #options: EchoOptions;
  readonly #played = new Int16Array(16_000);
  readonly #waiting: Uint8Array[] = [];
  #at = 0;

  constructor(options: EchoOptions) {
    this.#options = options;
  }

  play(payload: Uint8Array): void {
    this.#waiting.push(payload);
    if (this.#waiting.length > MOST_WAITING) this.#waiting.shift();
  }

  /** What the phone sends, with the echo in it. */
  add(payload: Uint8Array): Uint8Array {
    const next = this.#waiting.shift();
    const { length } = this.#played;
    const heard = next ? decodeG711('PCMU', next) : new Int16Array(160);
    for (let n = 0; n < 160; n++) this.#played[(this.#at + n) % length] = heard[n] ?? 0;
    const sent = Int16Array.from(decodeG711('PCMU', payload), (own, n) => {
      let sum = own;
      for (const [offset, gain] of this.#options.taps) {
        const from = this.#at + n - this.#options.delayMs * 8 - offset;
        if (from >= 0) sum += gain * (this.#played[from % length] as number);
      }
      return Math.max(-32_768, Math.min(32_767, Math.round(sum)));
    });
    this.#at += 160;
    return encodeG711('PCMU', sent);
  }
}
