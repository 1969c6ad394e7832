import type { Clock, Timer } from '../../base/clock.ts';
import { randomText } from '../../base/ids.ts';
import type { Logger } from '../../base/log.ts';
import type { EndCause } from '../../leg/leg.ts';
import type { PersonCommand } from '../../leg/person.ts';
import type { EventChannel } from '../../leg/session-host.ts';
import type { Session } from '../session.ts';
import type { CommandFault, SessionEvent } from '../session-event.ts';
import type { HostedTool } from '../tools/tool-source.ts';
import { commandConversation } from './client-commands.ts';
import { type ClientEvent, parseClientEvent } from './client-event.ts';
import { DigitEntries } from './digit-entries.ts';
import { effectiveSession, formatOf, turnDetectionOf } from './effective-session.ts';
import { Channel, errorEvent, newEventId } from './event-channel.ts';
import type { Fault } from './fault.ts';
import { InputAudio } from './input-audio.ts';
import { MissedEvents } from './missed-events.ts';
import { Origins } from './origins.ts';
import { OutputAudio } from './output-audio.ts';
import { makeLegId, type PersonClientEvent, personCommandOf, personFault } from './person-event.ts';
import { itemObject, type ServerEvent } from './response-object.ts';
import { DTMF_RECEIVED, serverEventsOf, type Telling } from './server-event.ts';
import { sessionConfigOf } from './session-config-of.ts';
import type { SessionSettings } from './session-schema.ts';
import { SessionUpdates } from './session-updates.ts';

/** A program, its monitor, its recorder …: nobody watches one call with more. */
const MOST_CHANNELS = 16;

/** Events that wait for audio sent before them to be heard: half an hour of G.711 in one event takes ten seconds. */
const MOST_WAITING = 1000;

/** As the reference: an hour. */
const DEFAULT_MAX_DURATION_MS = 3_600_000;

/** What can be done only when all audio that was sent before it is heard. */
const NEEDS_AUDIO: ReadonlySet<ClientEvent['type']> = new Set(['input_audio_buffer.commit', 'session.update']);

/** Close codes of RFC 6455 §7.4.1. */
const NORMAL = 1000;
const GOING_AWAY = 1001;
const INTERNAL_ERROR = 1011;

export interface SurfaceDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly session: Session;
  /** Calls persons and connects them; a session without it has nobody who does. */
  readonly persons?: (command: PersonCommand) => Promise<void>;
}

export interface SurfaceOptions {
  readonly sessionId: string;
  readonly media: 'phone' | 'browser' | 'websocket';
  readonly settings: SessionSettings;
  /** The session was made with an ephemeral secret: what the secret says stays as it is for those who have no more than that. */
  readonly ephemeral: boolean;
  /** Why the session may not have a tool that it names; undefined: it may. */
  readonly refuseTool?: ((tool: HostedTool) => CommandFault | undefined) | undefined;
  /** Default an hour. */
  readonly maxDurationMs?: number;
  /** Its own client comes later, by a data channel: what happens until then is kept for it. */
  readonly awaitsClient?: boolean;
}

/** How far a call has come that we place. */
export type CallProgress = 'ringing' | 'answered';

/** One client of a session, as the owner of the connection sees it. */
export interface SurfaceChannel {
  /** One client event, as JSON text. */
  receive(text: string): void;
  /** The client has gone. */
  close(): void;
}

/** The Realtime API of one session: client events in, server events out, to any number of channels. */
export class RealtimeSurface {
  readonly #deps: SurfaceDeps;
  readonly #options: SurfaceOptions;
  readonly #conversationId = `conv_${randomText(16)}`;
  readonly #expiresAt: number;
  readonly #expiry: Timer;
  readonly #updates: SessionUpdates;
  readonly #channels = new Set<Channel>();
  readonly #origins = new Origins();
  readonly #digits: DigitEntries;
  readonly #output = new OutputAudio();
  readonly #input: InputAudio | undefined;
  /** Events behind one that has to wait for the audio before it, in order. */
  readonly #waiting: { readonly channel: Channel; readonly event: ClientEvent }[] = [];
  readonly #telling: Telling;
  readonly #missed: MissedEvents | undefined;
  #progress: CallProgress | undefined;
  #ended = false;

  constructor(deps: SurfaceDeps, options: SurfaceOptions) {
    const { clock, session } = deps;
    const maxDurationMs = options.maxDurationMs ?? DEFAULT_MAX_DURATION_MS;
    this.#deps = deps;
    this.#options = options;
    this.#updates = new SessionUpdates(options.settings, { ephemeral: options.ephemeral, refuseTool: options.refuseTool });
    this.#expiresAt = Math.floor((clock.wallclock() + maxDurationMs) / 1000);
    this.#expiry = clock.setTimer(maxDurationMs, () => this.#expire(maxDurationMs));
    this.#telling = this.#makeTelling();
    this.#digits = new DigitEntries(session, (channel, event) => channel.send(serialize(event)));
    session.configure(sessionConfigOf(options.settings));
    if (options.awaitsClient) {
      this.#missed = new MissedEvents();
      session.observe((event) => this.#tell(event));
    }
    if (options.media !== 'websocket') return;
    const input = new InputAudio(session, formatOf(options.settings, 'input'));
    this.#input = input;
    this.#configureInput(input);
    session.onPull = (now) => {
      input.pulled(now);
      if (this.#waiting.length > 0) this.#catchUp(input);
    };
  }

  /** The session object in force. */
  get settings(): SessionSettings {
    return this.#updates.settings;
  }

  /** The session object with all its defaults: what `session.created` tells. */
  get effective(): Record<string, unknown> {
    return effectiveSession(this.settings, { id: this.#options.sessionId, expiresAt: this.#expiresAt });
  }

  /** How many channels are open. */
  get channels(): number {
    return this.#channels.size;
  }

  /**
   * Another channel, which gets `session.created` first; undefined when there are too many, or the session is over.
   * @param access.isClient the session's own client, which gets what it has missed after that
   */
  open(channel: EventChannel, access: { readonly ephemeral: boolean; readonly isClient?: boolean }): SurfaceChannel | undefined {
    if (this.#ended || this.#channels.size >= MOST_CHANNELS) return undefined;
    const { clock, session } = this.#deps;
    const opened = new Channel(channel, { ephemeral: access.ephemeral, now: clock.now(), onClosed: (gone) => this.#forget(gone) });
    this.#channels.add(opened);
    session.observe((event) => this.#tell(event));
    opened.send(serialize({ type: 'session.created', session: this.effective }));
    if (this.settings.type === 'realtime') {
      opened.send(serialize({ type: 'conversation.created', conversation: { id: this.#conversationId, object: 'realtime.conversation' } }));
    }
    if (this.#progress) opened.send(serialize({ type: `call.${this.#progress}` }));
    if (access.isClient) for (const event of this.#missed?.take() ?? []) opened.send(event);
    return { receive: (text) => this.#receive(opened, text), close: () => opened.forget() };
  }

  /** A session object for the session as a whole: what `accept` brings. Replaces the one it was made with. */
  configure(settings: SessionSettings): void {
    if (this.#ended) return;
    this.#updates.replace(settings);
    this.#apply();
  }

  /** A call of ours has come so far: tells it, also to who comes later. */
  handleProgress(progress: CallProgress): void {
    if (this.#ended || this.#progress === progress) return;
    this.#progress = progress;
    this.#broadcast({ type: `call.${progress}` });
  }

  /** The session is over: tells it, and closes every channel. Idempotent. @param status of SIP, when a call of ours was refused */
  end(cause: EndCause, status?: number): void {
    if (this.#ended) return;
    this.#digits.end();
    this.#ended = true;
    this.#expiry.cancel();
    this.#deps.session.observe(undefined);
    if (this.#options.media !== 'websocket')
      this.#broadcast({ type: 'call.ended', reason: cause, ...(status === undefined ? {} : { status_code: status }) });
    const code = closeCodeOf(cause);
    for (const channel of [...this.#channels]) channel.close(code, cause);
    this.#waiting.length = 0;
  }

  #makeTelling(): Telling {
    const { clock, session } = this.#deps;
    const surface = this;
    return {
      get settings() {
        return surface.settings;
      },
      conversationId: this.#conversationId,
      audio: (itemId, pcm) => (this.#input ? this.#output.write(itemId, pcm, formatOf(this.settings, 'output')) : undefined),
      lastAudio: (itemId) => this.#output.last(itemId),
      audioMs: (itemId) => session.commands.audioMs(itemId),
      wallclock: () => clock.wallclock(),
    };
  }

  #forget(channel: Channel): void {
    this.#channels.delete(channel);
    this.#origins.forget(channel);
    this.#digits.forget(channel);
    // Without anybody who listens no event is made.
    if (this.#channels.size === 0 && !this.#missed?.isWaiting) this.#deps.session.observe(undefined);
  }

  #expire(maxDurationMs: number): void {
    const minutes = Math.round(maxDurationMs / 60_000);
    this.#sendAll(
      errorEvent({
        message: `Your session hit the maximum duration of ${minutes} minutes.`,
        code: 'session_expired',
      }),
    );
    this.#deps.session.end('duration_cap');
    this.end('duration_cap');
  }

  #tell(event: SessionEvent): void {
    if (event.type === 'ended') {
      this.end(event.cause);
      return;
    }
    if (event.type === 'fault') {
      this.#tellFault(event);
      return;
    }
    if (event.type === 'response_started' && event.request) this.#origins.take(event.request.requestId);
    for (const each of serverEventsOf(event, this.#telling)) this.#broadcast(each);
  }

  /** Whoever caused it is told; if nobody did, all are. */
  #tellFault(event: Extract<SessionEvent, { readonly type: 'fault' }>): void {
    const origin = this.#origins.take(event.requestId ?? event.itemId);
    const fault: Fault = { message: event.message, code: event.code, param: event.param };
    if (origin) origin.channel.fault(fault, origin.eventId);
    else this.#sendAll(errorEvent({ ...fault, type: 'server_error' }));
  }

  #broadcast(event: ServerEvent): void {
    if (this.#channels.size > 0 || this.#missed?.isWaiting) this.#sendAll(serialize(event));
    else this.#deps.session.observe(undefined);
  }

  #sendAll(text: string): void {
    this.#missed?.keep(text);
    for (const channel of [...this.#channels]) channel.send(text);
  }

  #receive(channel: Channel, text: string): void {
    if (this.#ended || channel.isClosed || !channel.admit(text, this.#deps.clock.now())) return;
    const parsed = parseClientEvent(text);
    if ('fault' in parsed) {
      channel.fault(parsed.fault, parsed.eventId);
      return;
    }
    const { event } = parsed;
    if (this.#waiting.length > 0 || (this.#input?.isBehind && NEEDS_AUDIO.has(event.type))) this.#wait(channel, event);
    else this.#obey(channel, event);
  }

  #wait(channel: Channel, event: ClientEvent): void {
    if (this.#waiting.length < MOST_WAITING) this.#waiting.push({ channel, event });
    else channel.fault({ message: 'Too many events wait for audio to be heard.', code: 'rate_limit_exceeded' }, event.event_id);
  }

  #catchUp(input: InputAudio): void {
    for (let next = this.#waiting[0]; next && !this.#ended; next = this.#waiting[0]) {
      if (input.isBehind && NEEDS_AUDIO.has(next.event.type)) return;
      this.#waiting.shift();
      if (!next.channel.isClosed) this.#obey(next.channel, next.event);
    }
  }

  #obey(channel: Channel, event: ClientEvent): void {
    try {
      const fault = this.#handle(channel, event);
      if (fault) channel.fault(fault, event.event_id);
    } catch (thrown) {
      this.#deps.log.error({ err: thrown, event: event.type }, 'client event failed');
      channel.fault(
        { message: 'The server had an error while handling the event.', code: 'internal_error', type: 'server_error' },
        event.event_id,
      );
    }
  }

  #handle(channel: Channel, event: ClientEvent): Fault | undefined {
    const { session } = this.#deps;
    switch (event.type) {
      case 'session.update':
        return this.#update(channel, event.session);
      case 'input_audio_buffer.append':
        return this.#append(event.audio);
      case 'input_audio_buffer.commit':
        this.#input?.finish(this.#deps.clock.now());
        return session.commitInput();
      case 'input_audio_buffer.clear':
        this.#input?.clear();
        session.clearInput();
        return undefined;
      case 'output_audio_buffer.clear':
        if (this.#input) return wrongTransport(event.type);
        session.clearOutput();
        return undefined;
      case 'call.dtmf.send':
        if (channel.ephemeral) return { message: 'An ephemeral secret may not press keys.', code: 'forbidden', type: 'permission_error' };
        return session.sendDtmf(event.digits);
      case 'call.leg.create':
      case 'call.leg.connect':
      case 'call.leg.whisper':
      case 'call.leg.hold':
      case 'call.leg.swap':
      case 'call.leg.transfer':
      case 'call.leg.hangup':
        return this.#commandPersons(channel, event);
      case 'call.digits.collect':
      case 'call.digits.stop':
      case 'call.digits.receive':
        return this.#digits.handle(channel, event);
      default:
        return commandConversation(session, event, {
          retrieved: (item) => channel.send(serialize({ type: 'conversation.item.retrieved', item: itemObject(item, true) })),
          expect: (name) => this.#origins.add(name, { channel, eventId: event.event_id }),
          restrict: (config) => (channel.ephemeral ? this.#updates.restrict(config) : config),
        });
    }
  }

  /** What was refused is told as soon as it is known; what is done shows in the events of the leg. */
  #commandPersons(channel: Channel, event: PersonClientEvent): Fault | undefined {
    const { persons } = this.#deps;
    if (channel.ephemeral) return { message: 'An ephemeral secret may call nobody.', code: 'forbidden', type: 'permission_error' };
    if (!persons) return wrongTransport(event.type);
    persons(personCommandOf(event, makeLegId)).catch((thrown: unknown) => {
      if (!channel.isClosed) channel.fault(personFault(thrown), event.event_id);
    });
    return undefined;
  }

  #append(audio: string): Fault | undefined {
    if (!this.#input) return wrongTransport('input_audio_buffer.append');
    return this.#input.append(audio, this.#deps.clock.now());
  }

  #update(channel: Channel, update: SessionSettings): Fault | undefined {
    const fault = this.#updates.merge(update, { ephemeral: channel.ephemeral, hasSpoken: this.#deps.session.hasSpoken });
    if (!fault) this.#apply();
    return fault;
  }

  /** The session object in force has changed. */
  #apply(): void {
    if (this.#input) this.#configureInput(this.#input);
    // What follows from it is told after it.
    this.#broadcast({ type: 'session.updated', session: this.effective });
    this.#deps.session.configure(sessionConfigOf(this.settings));
  }

  #configureInput(input: InputAudio): void {
    input.configure(formatOf(this.settings, 'input'), turnDetectionOf(this.settings) !== null);
  }
}

function wrongTransport(type: string): Fault {
  return { message: `The event '${type}' does not belong to this kind of session.`, code: 'invalid_event_for_transport', param: 'type' };
}

function closeCodeOf(cause: EndCause): number {
  if (cause === 'duration_cap' || cause === 'shutdown') return GOING_AWAY;
  return cause === 'internal_error' || cause === 'owner_lost' ? INTERNAL_ERROR : NORMAL;
}

function serialize(event: ServerEvent): string {
  const { type, ...rest } = event;
  return JSON.stringify(type === DTMF_RECEIVED ? event : { type, event_id: newEventId(), ...rest });
}
