import type { Clock, Timer } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { EndCause, Leg, LegEvent } from '../leg/leg.ts';
import { Conversation } from './conversation.ts';
import { ConversationCommands } from './conversation-commands.ts';
import { IdleWatch } from './idle-watch.ts';
import { type CallFigures, MODEL_FRAME_SAMPLES, type ModelEvent, type RealtimeModel, type ResponseRequest } from './model.ts';
import { ModelLink, type Stopped } from './model-link.ts';
import { PlaybackRecord } from './playback-record.ts';
import { Playout } from './playout.ts';
import { samplesToMs } from './playout-ledger.ts';
import type { SessionConfig } from './session-config.ts';
import type { Audience, CommandFault, SessionEvent, StopReason } from './session-event.ts';
import type { SessionMetrics } from './session-metrics.ts';
import { SessionStatistics, type TurnStatistics } from './session-statistics.ts';
import { type HeardFrame, TurnMachine, type TurnOutput } from './turn-machine.ts';
import type { TurnOptions } from './turn-options.ts';
import { type TurnPolicy, turnOptionsOf } from './turn-policy.ts';
import { TurnRecord } from './turn-record.ts';
import type { TurnState } from './turn-table.ts';
import type { VoiceDetector } from './voice-detector.ts';

export interface SessionDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly model: RealtimeModel;
  readonly createVoiceDetector: () => VoiceDetector;
  readonly metrics?: SessionMetrics;
}

export interface SessionOptions {
  /** `at_once`: take the call as soon as it is there. `manual`: somebody else says `accept` or `reject`. */
  readonly answer?: 'at_once' | 'manual';
  readonly turns?: Partial<TurnOptions>;
  /** May the caller be called back when the call is over? */
  readonly mayCallBack?: boolean;
  /** Does a key stop the agent's speech? Default true. */
  readonly keysInterrupt?: boolean;
  /** Does the agent say the first word? Default true. */
  readonly speaksFirst?: boolean;
  /**
   * Audio goes out as it comes, and the far end plays it: nothing is held back here, and only the far end knows what of it was heard. The pulls go
   * on, as an estimate of what is being played.
   */
  readonly streams?: boolean;
}

/** What is known of a session at any time: the closing log line, the CDR, GET /v1/calls/:id. */
export interface SessionSnapshot extends TurnStatistics {
  readonly state: TurnState;
  readonly heardMs: number;
  readonly playoutQueueMs: number;
  /** Audio of the model that was dropped because too much was queued. */
  readonly playoutDroppedMs: number;
  /** The newest items: what came, and what left on the wire. */
  readonly items: readonly { readonly itemId: string; readonly receivedMs: number; readonly sentMs: number }[];
}

/** After the last audio frame the call goes on for so long, or the end of "goodbye" is lost in the far end's buffer. */
const HANG_UP_AFTER_MS = 200;

/** When nothing pulls audio any more, a call that is to end ends this long after its audio should have. */
const HANG_UP_SLACK_MS = 2000;

/** Without uplink for this long, silence is heard: turns end and holds too, whatever feeds us. (The transport fills gaps sooner, after 240 ms.) */
const UPLINK_LOST_MS = 300;

/** A hole longer than this is one of five seconds: nothing learns more from a longer silence. */
const MOST_SILENT_FRAMES = 250;

/** The model promised audio and none came for so long: it is being waited for. */
const STALLED_AFTER_MS = 1000;

const NOT_LIVE: CommandFault = { code: 'invalid_state', message: 'The call is not answered, or over.' };

const SILENCE = new Int16Array(MODEL_FRAME_SAMPLES);

/**
 * A conversation between a caller and a model: whose turn it is, what is said and what of it left on the wire. Knows the
 * world only through its leg, and no protocol's event names.
 */
export class Session {
  /** Called once, when the conversation is over. */
  onEnded: ((cause: EndCause) => void) | undefined;
  /** Called with each pull: where streamed audio that waits is heard. */
  onPull: ((now: number) => void) | undefined;
  /** Items and responses, for programs. */
  readonly commands: ConversationCommands;
  readonly #deps: SessionDeps;
  readonly #options: SessionOptions;
  readonly #streams: boolean;
  readonly #audience: Audience = { listener: undefined };
  readonly #playout = new Playout();
  readonly #turns: TurnMachine;
  readonly #statistics: SessionStatistics;
  readonly #detector: VoiceDetector;
  readonly #conversation: Conversation;
  readonly #record: TurnRecord;
  readonly #playback = new PlaybackRecord(this.#audience);
  readonly #idle = new IdleWatch();
  readonly #link: ModelLink;
  // One object for all frames: a call has 50 a second.
  readonly #frame = { voiced: false, levelDb: 0, concealed: false, heardMs: 0 };
  /** Stopped, and not told yet: whoever spoke is told first. */
  readonly #stops: { readonly stopped: Stopped; readonly reason: StopReason }[] = [];
  #leg: Leg | undefined;
  /** undefined: as the options say; null: turns are committed by hand. */
  #policy: TurnPolicy | null | undefined;
  #transcribeOnly = false;
  #modelTakesTurns = true;
  #answered = false;
  #ended = false;
  #draining = false;
  #answeredAt = 0;
  #heardSamples = 0;
  #concealedFrames = 0;
  #callBackWanted = false;
  #lastUplinkAt = 0;
  #lastAudioAt = 0;
  #speechEndedAt: number | undefined;
  /** The call is to end, for this cause, when all is played. */
  #closing: EndCause | undefined;
  #hangUpTimer: Timer | undefined;

  constructor(deps: SessionDeps, options: SessionOptions = {}) {
    this.#deps = deps;
    this.#options = options;
    this.#streams = options.streams ?? false;
    this.#statistics = new SessionStatistics(deps.metrics);
    this.#turns = new TurnMachine(() => this.#remainingMs(), turnOptionsOf(undefined, this.#streams, options.turns));
    this.#detector = deps.createVoiceDetector();
    this.#conversation = new Conversation(this.#audience, { streams: this.#streams });
    this.#record = new TurnRecord(this.#audience, this.#conversation);
    const call = {
      mayCallBack: options.mayCallBack ?? false,
      speaksFirst: options.speaksFirst ?? true,
      statistics: () => this.#figures(),
    };
    const onEvent = (event: ModelEvent, request?: ResponseRequest) => this.#handleModel(event, request);
    this.#link = new ModelLink(deps.model, this.#playout, onEvent, call, { truncates: !this.#streams });
    this.commands = new ConversationCommands(this.#conversation, this.#link, {
      readiness: () => this.#readiness(),
      onAsked: () => this.#noteAsked('asked'),
      onCancelled: () => this.#noteAsked('nothing_to_say'),
    });
  }

  attach(leg: Leg): void {
    this.#leg = leg;
  }

  /** Everything that happens from now on is told to this listener; undefined: to nobody. */
  observe(listener: ((event: SessionEvent) => void) | undefined): void {
    this.#audience.listener = listener;
  }

  /** How the conversation shall be from now on: before it starts, or in the middle of it. */
  configure(config: SessionConfig): void {
    if (this.#ended) return;
    const now = this.#deps.clock.now();
    this.#policy = config.turns;
    this.#transcribeOnly = config.transcribeOnly ?? false;
    this.#idle.timeoutMs = config.turns?.idleTimeoutMs;
    this.#turns.setOptions(turnOptionsOf(config.turns ?? undefined, this.#streams, this.#options.turns));
    this.#link.connection.configure?.(config.model);
    if (this.#answered) this.#switchTurns(now);
  }

  /** The leg is there: decides what becomes of it. */
  start(): void {
    if (this.#ended) return;
    if ((this.#options.answer ?? 'at_once') === 'at_once') this.accept();
  }

  /** Takes the call. A session without a leg begins. */
  accept(): void {
    if (this.#ended || this.#answered) return;
    if (this.#leg) this.#leg.answer();
    else this.#begin();
  }

  handleLegEvent(event: LegEvent): void {
    if (this.#ended) return;
    switch (event.type) {
      case 'answered':
        this.#begin();
        break;
      case 'dtmf':
        this.#handleKey(event.digit);
        break;
      case 'ringing':
        break;
      case 'transfer':
        this.#handleTransfer(event);
        break;
      case 'ended':
        this.#leg = undefined;
        this.end(event.cause);
        break;
    }
  }

  /** The leg's far end has put us on hold, or taken us back. */
  handleHold(held: boolean): void {
    if (!this.#ended) this.#audience.listener?.({ type: 'hold', held });
  }

  /** 20 ms of the caller's audio, 480 samples at 24 kHz. The buffer is not kept. */
  handleUplink(pcm: Int16Array, flags: { readonly concealed: boolean }, now: number): void {
    if (!this.#answered || this.#ended) return;
    this.#lastUplinkAt = now;
    this.#hear(pcm, flags.concealed, now);
  }

  /** The caller's audio has a hole of so many frames that is known to be silence. */
  handleUplinkSilence(frames: number, now: number): void {
    for (let n = 0; n < Math.min(frames, MOST_SILENT_FRAMES); n++) this.handleUplink(SILENCE, { concealed: false }, now);
  }

  /** The next 20 ms towards the caller, 480 samples; false when they are silence. The pacer calls this once a frame: what is pulled counts as sent. */
  pullDownlink(out: Int16Array, now: number): boolean {
    if (this.#ended || !this.#answered) {
      out.fill(0);
      return false;
    }
    this.onPull?.(now);
    if (!this.#streams) this.#bridgeLostUplink(now);
    this.#turns.handleTimeout(now);
    this.#drain(now);
    if (this.#turns.mayPlay && this.#playout.isReady) this.#turns.handle('audio_started', now);
    const sounded = (this.#turns.mayPlay || this.#playout.isFading) && this.#playout.pull(out, now);
    if (sounded) this.#noteAudio(now);
    else out.fill(0);
    this.#afterPull(now);
    return sounded;
  }

  /** What was heard and is not committed becomes a turn; nobody answers it until asked. */
  commitInput(): CommandFault | undefined {
    if (!this.#answered || this.#ended) return NOT_LIVE;
    const now = this.#deps.clock.now();
    const turn = this.#record.commitByHand(this.#heardMs);
    if ('code' in turn) return turn;
    this.#turns.handle('input_taken', now);
    this.#statistics.countTurn(false);
    this.#idle.callerSpoke();
    this.#link.commitTurn({ ...turn, respond: false });
    this.#drain(now);
    return undefined;
  }

  /** What was heard and is not committed will be no turn. */
  clearInput(): void {
    this.#turns.handle('input_taken', this.#deps.clock.now());
    this.#record.clear(this.#heardMs);
  }

  /** Stops what is on the wire and all that waits to be. Responses that are still being made go on. */
  clearOutput(): void {
    const now = this.#deps.clock.now();
    this.#stops.push({ stopped: this.#link.clearPlayout(now), reason: 'client_cancelled' });
    this.#drain(now);
  }

  /** Presses keys towards the phone. */
  sendDtmf(digits: string): CommandFault | undefined {
    if (!this.#answered || this.#ended) return NOT_LIVE;
    if (!this.#leg?.sendDtmf) return { code: 'unsupported', message: 'This session has no telephone to press keys on.' };
    this.#leg.sendDtmf(digits);
    this.#audience.listener?.({ type: 'dtmf_sent', digits });
    return undefined;
  }

  /** Ends the conversation and hangs up. Idempotent. */
  end(cause: EndCause): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#hangUpTimer?.cancel();
    this.#link.close();
    this.#detector.free();
    this.#leg?.hangup(cause);
    this.#leg = undefined;
    this.#audience.listener?.({ type: 'ended', cause });
    this.onEnded?.(cause);
  }

  snapshot(): SessionSnapshot {
    return {
      ...this.#statistics.snapshot(),
      state: this.#turns.state,
      heardMs: this.#heardMs,
      playoutQueueMs: this.#playout.queuedMs,
      playoutDroppedMs: this.#playout.droppedMs,
      items: this.#playout.ledger.map(({ itemId, receivedSamples, sentSamples }) => ({
        itemId,
        receivedMs: samplesToMs(receivedSamples),
        sentMs: samplesToMs(sentSamples),
      })),
    };
  }

  /** Does the model want the caller called back, now that the call is over? */
  get callBackWanted(): boolean {
    return this.#callBackWanted;
  }

  /** Has the agent spoken already? Its voice is what it is then. */
  get hasSpoken(): boolean {
    return this.#conversation.hasSpoken;
  }

  get #heardMs(): number {
    return samplesToMs(this.#heardSamples);
  }

  /** The caller talks to somebody else when the transfer has succeeded; the model has it back when it has not. */
  #handleTransfer({ state, status }: Extract<LegEvent, { readonly type: 'transfer' }>): void {
    this.#deps.log.info({ state }, 'transfer');
    this.#audience.listener?.({ type: 'transfer', state, status });
    if (state === 'succeeded') {
      this.end('agent_hangup');
      return;
    }
    this.#link.expectResponse();
    this.#link.connection.transferred?.(state);
    this.#drain(this.#deps.clock.now());
  }

  #figures(): CallFigures {
    const { turns, responseLatencyMs } = this.#statistics.snapshot();
    const frames = this.#heardSamples / MODEL_FRAME_SAMPLES;
    return {
      durationMs: this.#answered ? this.#deps.clock.now() - this.#answeredAt : 0,
      turns,
      responseMs: responseLatencyMs.all.length > 0 ? responseLatencyMs.median : undefined,
      lostPercent: frames === 0 ? 0 : (100 * this.#concealedFrames) / frames,
    };
  }

  #begin(): void {
    if (this.#answered) return;
    const now = this.#deps.clock.now();
    this.#answered = true;
    this.#answeredAt = now;
    this.#lastUplinkAt = now;
    this.#lastAudioAt = now;
    this.#switchTurns(now);
    this.#link.connection.start();
    this.commands.handleAnswered((fault, requestId) => this.#audience.listener?.({ type: 'fault', ...fault, requestId }));
  }

  #readiness(): 'pending' | 'live' | 'never' {
    if (this.#ended || this.#closing || this.#transcribeOnly) return 'never';
    return this.#answered ? 'live' : 'pending';
  }

  /** Turns are taken here when nobody commits them by hand and the model does not want the audio itself. */
  #switchTurns(now: number): void {
    const on = this.#policy !== null && this.#modelTakesTurns && !this.#closing;
    this.#turns.handle(on ? 'turns_on' : 'turns_off', now);
    this.#drain(now);
  }

  #handleKey(digit: string): void {
    if (!this.#answered || this.#closing) return;
    const now = this.#deps.clock.now();
    this.#audience.listener?.({ type: 'dtmf', digit });
    this.#idle.callerSpoke();
    if (this.#options.keysInterrupt ?? true) {
      if (this.#turns.state === 'off') this.#stopSpeech(now);
      this.#turns.handle('key', now);
      this.#drain(now);
    }
    this.#link.expectResponse();
    this.#link.connection.dtmf(digit);
    this.#drain(now);
  }

  #hear(pcm: Int16Array, concealed: boolean, now: number): void {
    if (this.#policy === null && !this.#record.isCollecting) this.#collect();
    this.#heardSamples += pcm.length;
    if (concealed) this.#concealedFrames += 1;
    this.#link.connection.appendAudio(pcm);
    const { state } = this.#turns;
    if (state === 'off' || state === 'lost') return;
    const voice = this.#detector.process(pcm);
    const frame = this.#frame;
    frame.voiced = voice.voiced;
    frame.levelDb = voice.levelDb;
    frame.concealed = concealed;
    frame.heardMs = samplesToMs(this.#heardSamples);
    this.#turns.handleFrame(frame satisfies HeardFrame, now);
    this.#drain(now);
  }

  /** Audio that somebody will commit begins: the model must keep it. */
  #collect(): void {
    this.#record.collect(this.#heardMs);
    this.#link.connection.speechStarted(this.#heardMs);
  }

  #bridgeLostUplink(now: number): void {
    // One frame a pull: as much as time has passed, once the uplink counts as lost.
    if (now - this.#lastUplinkAt >= UPLINK_LOST_MS) this.#hear(SILENCE, false, now);
  }

  #noteAudio(now: number): void {
    this.#lastAudioAt = now;
    if (this.#speechEndedAt === undefined || this.#turns.state !== 'agent') return;
    this.#statistics.addLatency(now - this.#speechEndedAt);
    this.#speechEndedAt = undefined;
  }

  #afterPull(now: number): void {
    for (let id = this.#playout.takeBegun(); id !== undefined; id = this.#playout.takeBegun()) this.#begun(id);
    for (let id = this.#playout.takePlayed(); id !== undefined; id = this.#playout.takePlayed()) this.#played(id);
    if (this.#ended || this.#playout.isReady) return;
    if (this.#turns.state === 'agent') {
      if (!this.#link.isResponding && this.#playout.queuedMs === 0) this.#turns.handle('audio_ended', now);
      else if (now - this.#lastAudioAt >= STALLED_AFTER_MS) this.#turns.handle('audio_stalled', now);
    }
    if (this.#idle.timeoutMs !== undefined) this.#watchIdle(now);
    if (this.#closing && this.#playout.queuedMs === 0 && now - this.#lastAudioAt >= HANG_UP_AFTER_MS) this.end(this.#closing);
    this.#drain(now);
  }

  #begun(responseId: string): void {
    this.#idle.agentSpoke();
    if (!this.#streams) this.#playback.begun(responseId);
  }

  #played(responseId: string): void {
    this.#playback.played(responseId);
    this.#link.connection.played?.(responseId);
  }

  #watchIdle(now: number): void {
    if (this.#turns.state !== 'idle' || this.#link.isBusy || this.#closing || this.#playout.queuedMs > 0) return;
    if (!this.#idle.isDue(now - this.#lastAudioAt)) return;
    const turn = this.#record.idle(Math.max(0, this.#heardMs - (now - this.#lastAudioAt)), this.#heardMs);
    this.#turns.handle('asked', now);
    this.#link.commitTurn(turn);
  }

  #handleModel(event: ModelEvent, request: ResponseRequest | undefined): void {
    if (this.#ended) return;
    const now = this.#deps.clock.now();
    switch (event.type) {
      case 'response_started':
        this.#conversation.responseStarted(event.responseId, request);
        break;
      case 'audio':
      case 'item_started':
      case 'text':
      case 'transcript':
      case 'arguments':
      case 'item_done':
        this.#conversation.write(event);
        return;
      case 'input_transcript':
      case 'input_transcript_delta':
      case 'input_transcript_failed':
        this.#conversation.transcribe(event);
        return;
      case 'response_done':
        this.#conversation.responseDone(event);
        this.#noteNothingMore(now);
        break;
      case 'rate_limits':
        this.#audience.listener?.(event);
        return;
      case 'fault':
        this.#deps.log.debug({ code: event.code, model: this.#deps.model.name }, 'model reports a fault');
        this.#audience.listener?.(event);
        this.#noteNothingMore(now);
        break;
      case 'turn_detection':
        this.#modelTakesTurns = event.enabled;
        this.#switchTurns(now);
        break;
      case 'hangup':
        this.#turns.handle('turns_off', now);
        this.#endWhenPlayed('agent_hangup');
        break;
      case 'transfer':
        if (this.#leg?.refer) this.#leg.refer(event.target);
        else this.#link.connection.transferred?.('failed');
        break;
      case 'call_back':
        this.#callBackWanted = this.#options.mayCallBack ?? false;
        this.#turns.handle('turns_off', now);
        this.#endWhenPlayed('agent_hangup');
        break;
      case 'closed':
        this.#deps.log.warn({ reason: event.reason, model: this.#deps.model.name }, 'model connection lost');
        this.#conversation.failAll({ code: 'model_connection_lost', message: 'The connection to the model is lost.' });
        this.#turns.handle('model_lost', now);
        this.#endWhenPlayed('internal_error');
        break;
    }
    this.#drain(now);
  }

  /** The model owes nothing any more: if nothing of it is left to play, nobody has the floor. */
  #noteNothingMore(now: number): void {
    if (!this.#link.isResponding && this.#playout.queuedMs === 0) this.#turns.handle('nothing_to_say', now);
  }

  /** A program asked the model to speak, or took that back. */
  #noteAsked(event: 'asked' | 'nothing_to_say'): void {
    const now = this.#deps.clock.now();
    if (event === 'asked') {
      this.#link.expectResponse();
      this.#turns.handle(event, now);
    } else this.#noteNothingMore(now);
    this.#drain(now);
  }

  #endWhenPlayed(cause: EndCause): void {
    if (this.#closing) return;
    this.#closing = cause;
    const deadlineMs = this.#playout.queuedMs + HANG_UP_AFTER_MS + HANG_UP_SLACK_MS;
    this.#hangUpTimer = this.#deps.clock.setTimer(deadlineMs, () => this.end(cause));
  }

  #remainingMs(): number {
    return this.#link.isResponding ? Number.POSITIVE_INFINITY : this.#playout.queuedMs;
  }

  /** Carries out what the turn machine decided. What that leads to is drained by the outer call. */
  #drain(now: number): void {
    if (this.#draining) return;
    this.#draining = true;
    try {
      for (let output = this.#turns.pollOutput(); output && !this.#ended; output = this.#turns.pollOutput()) this.#carryOut(output, now);
      if (this.#stops.length > 0) this.#announceStops();
    } finally {
      this.#draining = false;
    }
  }

  #carryOut(output: TurnOutput, now: number): void {
    switch (output.type) {
      case 'speech_started':
        this.#idle.callerSpoke();
        this.#record.speechStarted(output.startMs, () => this.#announceStops());
        this.#link.connection.speechStarted(output.startMs);
        break;
      case 'turn_committed':
        this.#commit(output, now);
        break;
      case 'turn_discarded':
        this.#record.discarded(output.endMs);
        this.#statistics.countDiscardedTurn();
        break;
      case 'cancel':
        if (this.#policy?.interrupt ?? true) this.#stopSpeech(now);
        break;
      case 'hold':
        this.#playout.hold();
        break;
      case 'resume':
        this.#playout.resume(output.fromStart);
        this.#lastAudioAt = now; // the hold was not the model's stall
        if (this.#turns.state === 'agent') this.#statistics.countBargeIn('rejected');
        break;
      case 'interrupt':
        if (output.by === 'voice') this.#statistics.countBargeIn('interrupted');
        this.#stopSpeech(now);
        break;
    }
    this.#deps.log.trace({ output }, 'turn');
  }

  #commit(output: Extract<TurnOutput, { readonly type: 'turn_committed' }>, now: number): void {
    this.#statistics.countTurn(output.continued);
    this.#speechEndedAt = output.speechEndedAt;
    const turn = this.#record.committed(output.startMs, output.endMs);
    // Who must not be interrupted is not asked a second thing either.
    const respond = (this.#policy?.respond ?? true) && !this.#transcribeOnly && !this.#link.isBusy;
    this.#link.commitTurn({ ...turn, respond });
    if (!respond) this.#turns.handle('nothing_to_say', now);
  }

  #stopSpeech(now: number): void {
    this.#speechEndedAt = undefined;
    this.#stops.push({ stopped: this.#link.stopResponses(now), reason: 'turn_detected' });
  }

  #announceStops(): void {
    for (const { stopped, reason } of this.#stops.splice(0)) {
      for (const responseId of stopped.responseIds) this.#conversation.stop(responseId, reason);
      if (this.#streams) continue;
      this.#playback.cleared();
      this.#conversation.cut(stopped.cut);
    }
  }
}
