import { Driver } from '../../../src/base/driver.ts';
import type { ModelConfig, ModelEvent } from '../../../src/realtime/model.ts';
import { DEFAULT_LINK_OPTIONS, type LinkOptions } from '../../../src/realtime/upstream/link-keeper.ts';
import { type UpstreamProfile, upstreamProfile } from '../../../src/realtime/upstream/profile.ts';
import { UpstreamConversation, type UpstreamOutput } from '../../../src/realtime/upstream/upstream-conversation.ts';
import { FakeClock } from '../../support/fake-clock.ts';

export type Wire = Record<string, unknown> & { type: string };

export const CONFIG: ModelConfig = {
  outputModality: 'audio',
  tools: [],
  toolChoice: 'auto',
  maxOutputTokens: 'inf',
  transcription: { model: 'whisper-1' },
  instructions: 'Be kind.',
};

const FRAME = new Int16Array(480).fill(1000);

export interface ProbeOptions {
  readonly profile?: UpstreamProfile;
  readonly links?: Partial<LinkOptions>;
  readonly greeting?: { readonly instructions?: string };
  readonly secret?: string;
  readonly turns?: 'gateway' | 'upstream';
  readonly config?: Partial<ModelConfig>;
}

/** A conversation with a server made of lines in a test. */
export class ConversationProbe {
  readonly clock = new FakeClock();
  readonly outputs: (UpstreamOutput & { readonly at: number })[] = [];
  readonly machine: UpstreamConversation;
  readonly #driver: Driver<UpstreamOutput>;
  #ids = 0;

  constructor({ profile = upstreamProfile('openai'), links, greeting, secret, turns, config }: ProbeOptions = {}) {
    this.machine = new UpstreamConversation({
      profile,
      links: { ...DEFAULT_LINK_OPTIONS, capMs: profile.capMinutes === undefined ? undefined : profile.capMinutes * 60_000, ...links },
      config: { ...CONFIG, ...config },
      ...(turns && { turns }),
      appendMs: 40,
      greeting,
      random: () => 0,
      secret,
    });
    this.#driver = new Driver(this.clock, this.machine, (output) => void this.outputs.push({ ...output, at: this.clock.now() }));
  }

  /** Connected, and told its session. */
  static ready(options?: ProbeOptions): ConversationProbe {
    const probe = new ConversationProbe(options);
    probe.run((now) => probe.machine.start(now));
    probe.server(1, 'session.created');
    return probe;
  }

  run(change: (now: number) => void): void {
    this.#driver.run(change);
  }

  /** The server says this on that connection. */
  server(link: number, type: string, fields: Record<string, unknown> = {}): void {
    this.raw(link, JSON.stringify({ type, event_id: `e${this.#ids++}`, ...fields }));
  }

  raw(link: number, message: string): void {
    this.run((now) => this.machine.handleMessage(link, message, now, this.clock.wallclock()));
  }

  fail(link: number, reason = 'close_1006', permanent = false): void {
    this.run((now) => this.machine.handleLinkFailure(link, reason, permanent, now));
  }

  hear(ms: number): void {
    for (let n = 0; n < ms / 20; n++) this.run(() => this.machine.appendAudio(FRAME));
  }

  speak(startMs: number): void {
    this.run((now) => this.machine.speechStarted(startMs, now));
  }

  commit(startMs: number, endMs: number, itemId?: string): void {
    this.run((now) => this.machine.commitTurn({ startMs, endMs, ...(itemId !== undefined && { itemId }) }, now));
  }

  cancel(responseId?: string): void {
    this.run((now) => this.machine.cancelResponse(responseId, now));
  }

  /** A response that says so much on this connection; it is not over. */
  say(link: number, responseId: string, itemId: string, ms: number): void {
    this.server(link, 'response.created', { response: { id: responseId, conversation_id: 'conv' } });
    const item = { id: itemId, type: 'message', role: 'assistant' };
    this.server(link, 'response.output_item.added', { response_id: responseId, output_index: 0, item });
    this.audio(link, responseId, itemId, ms);
  }

  audio(link: number, responseId: string, itemId: string, ms: number): void {
    const delta = Buffer.alloc(ms * 48).toString('base64');
    this.server(link, 'response.output_audio.delta', {
      response_id: responseId,
      item_id: itemId,
      output_index: 0,
      content_index: 0,
      delta,
    });
  }

  finish(link: number, responseId: string, status = 'completed'): void {
    this.server(link, 'response.done', { response: { id: responseId, status, output: [] } });
  }

  /** What was sent to the server, from output `from` on; audio as its milliseconds. */
  sent(from = 0): Wire[] {
    return this.outputs.slice(from).flatMap((output) => {
      if (output.type !== 'send') return [];
      const { event_id: _, ...message } = JSON.parse(output.message) as Wire;
      if (typeof message['audio'] === 'string')
        return [{ type: message.type, ms: Buffer.from(message['audio'], 'base64').length / 48 } as Wire];
      return [message as Wire];
    });
  }

  types(from = 0): string[] {
    return this.sent(from).map(({ type }) => type);
  }

  /** Event id of the newest event of this type that was sent. */
  eventId(type: string): string {
    for (const output of this.outputs.toReversed()) {
      if (output.type !== 'send') continue;
      const message = JSON.parse(output.message) as Wire;
      if (message.type === type) return String(message['event_id']);
    }
    throw new Error(`no ${type} was sent`);
  }

  events(from = 0): ModelEvent[] {
    return this.outputs.slice(from).flatMap((output) => (output.type === 'event' ? [output.event] : []));
  }

  strange(): string[] {
    return this.outputs.flatMap((output) => (output.type === 'strange' ? [output.what] : []));
  }

  /** Connections, as they were dialed and dropped. */
  links(): string[] {
    return this.outputs.flatMap((output) => {
      if (output.type === 'connect' || output.type === 'disconnect' || output.type === 'ping')
        return [`${output.at} ${output.type} ${output.link}`];
      return output.type === 'link' ? [`${output.at} ${output.what}${output.reason ? ` ${output.reason}` : ''}`] : [];
    });
  }

  get mark(): number {
    return this.outputs.length;
  }
}
