import type { Clock } from '../base/clock.ts';
import { randomText } from '../base/ids.ts';
import type { Logger } from '../base/log.ts';
import { isEchoOf } from './caller-words.ts';
import { Conversation } from './conversation.ts';
import { ConversationCommands } from './conversation-commands.ts';
import type { EndOfTurnPredictor } from './end-of-turn.ts';
import { FirstSpeech } from './first-speech.ts';
import { HEARD_TOLERANCE_MS } from './heard-transcript.ts';
import { IdleWatch } from './idle-watch.ts';
import type { Lexicon } from './lexicon/lexicon.ts';
import { lexiconOf } from './lexicon/of-language.ts';
import {
  type CallContext,
  MODEL_FRAME_SAMPLES,
  type ModelConfig,
  type ModelEvent,
  type RealtimeModel,
  type ResponseRequest,
  type UplinkWhileSpeaking,
} from './model.ts';
import { ModelLink, type Stopped } from './model-link.ts';
import { PlaybackRecord } from './playback-record.ts';
import { type CutItem, Playout } from './playout.ts';
import { samplesToMs } from './playout-ledger.ts';
import type { SessionConfig } from './session-config.ts';
import type { Audience, CommandFault, StopReason } from './session-event.ts';
import type { SessionStatistics } from './session-statistics.ts';
import { isSpill } from './spill.ts';
import { SpokenText } from './spoken-text.ts';
import { type CallSounds, Filler } from './tools/filler.ts';
import { FillerWishes } from './tools/filler-wishes.ts';
import { SessionTools } from './tools/session-tools.ts';
import type { FillerChoice } from './tools/tool-source.ts';
import { FAR_BUFFER_MS, LatencyLedger } from './turn-latency.ts';
import { TurnMachine } from './turn-machine.ts';
import type { TurnOptions } from './turn-options.ts';
import type { HeardFrame, TurnOutput } from './turn-output.ts';
import { type TurnPolicy, turnOptionsOf } from './turn-policy.ts';
import { TurnRecord } from './turn-record.ts';
import type { TurnState } from './turn-table.ts';
import { UplinkRule } from './uplink-rule.ts';
import type { VoiceDetector } from './voice-detector.ts';

/** What the model says of the call itself. */
export type CallWish =
  | { readonly type: 'hangup' }
  | { readonly type: 'call_back' }
  | { readonly type: 'transfer'; readonly target: string }
  | { readonly type: 'closed'; readonly reason: string };

export interface FloorDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly model: RealtimeModel;
  readonly detector: VoiceDetector;
  readonly statistics: SessionStatistics;
  readonly audience: Audience;
  readonly predictor?: EndOfTurnPredictor | undefined;
  /** What is heard while nobody speaks; without it nothing is. */
  readonly sounds?: CallSounds | undefined;
  /** While a tool runs that says nothing of it. */
  readonly filler?: FillerChoice | undefined;
}

export interface FloorOptions {
  readonly turns: Partial<TurnOptions> | undefined;
  readonly streams: boolean;
  readonly uplinkWhileSpeaking?: UplinkWhileSpeaking | undefined;
  readonly keysInterrupt: boolean;
  readonly call: CallContext;
  readonly rttMs: () => number | undefined;
  readonly onCallWish: (wish: CallWish, now: number) => void;
}

/** Without uplink for this long, silence is heard: turns end and holds too, whatever feeds us. (The transport fills gaps sooner, after 240 ms.) */
const UPLINK_LOST_MS = 300;

/** Between two frames lie 20 ms; after more than this, the far end has run dry, or drops what comes all at once. */
const STUMBLE_MS = 60;

/** The model promised audio and none came for so long: it is being waited for. */
const STALLED_AFTER_MS = 1000;

/** For so long after our audio its transcript may come back as the caller's: transcripts lag. */
const ECHO_WORDS_MS = 2000;

const SILENCE = new Int16Array(MODEL_FRAME_SAMPLES);

/** How a model is that nobody has configured, where it is given tools all the same. */
const PLAIN: ModelConfig = { outputModality: 'audio', tools: [], toolChoice: 'auto', maxOutputTokens: 'inf', transcription: null };

/** In these the caller speaks, or is about to go on. */
const CALLER_SPEAKS: ReadonlySet<TurnState> = new Set(['user', 'gap', 'prepared', 'held']);

/** In these the model may be asked to go on with what a tool has said. */
const FREE: ReadonlySet<TurnState> = new Set(['off', 'idle', 'agent']);

/**
 * The floor between a caller and a model: hears the one, plays the other, and carries out what the turn machine decides.
 * Begins when the call is answered; knows nothing of the call otherwise.
 */
export class Floor {
  /** Items and responses, for programs. */
  readonly commands: ConversationCommands;
  readonly conversation: Conversation;
  readonly link: ModelLink;
  readonly playout = new Playout();
  /** Tools that the gateway runs. */
  readonly tools: SessionTools;
  readonly #deps: FloorDeps;
  readonly #options: FloorOptions;
  readonly #turns: TurnMachine;
  readonly #record: TurnRecord;
  readonly #playback: PlaybackRecord;
  readonly #filler = new Filler();
  readonly #wishes: FillerWishes;
  readonly #idle = new IdleWatch();
  readonly #spoken: SpokenText;
  // As the model said when this conversation began: there may be another one for those to come.
  readonly #language: string | undefined;
  readonly #takesTurns: boolean;
  readonly #latency = new LatencyLedger();
  readonly #firstSpeech = new FirstSpeech();
  /** Where the model takes turns. */
  readonly #uplink: UplinkRule | undefined;
  // One object for all frames: a call has 50 a second.
  readonly #frame = {
    voiced: false,
    levelDb: 0,
    floorDb: Number.NEGATIVE_INFINITY,
    near: undefined as boolean | undefined,
    concealed: false,
    spilled: false,
    heardMs: 0,
  };
  /** Stopped, and not told yet: whoever spoke is told first. */
  readonly #stops: { readonly stopped: Stopped; readonly reason: StopReason; readonly onsetAt: number }[] = [];
  /** undefined: as the options say; null: turns are committed by hand. */
  #policy: TurnPolicy | null | undefined;
  #transcribeOnly = false;
  #lexicon: Lexicon | null;
  #modelConfig: ModelConfig | undefined;
  #modelTakesTurns = true;
  #state: 'pending' | 'live' | 'paused' | 'closing' | 'over' = 'pending';
  #draining = false;
  #heardSamples = 0;
  #concealedFrames = 0;
  #lastBeatAt = 0;
  #lastUplinkAt = 0;
  #lastAudioAt = 0;
  #waitedAt = Number.NEGATIVE_INFINITY;
  #speechEndedAt: number | undefined;
  /** When the voice began that holds us. */
  #onsetAt: number | undefined;

  constructor(deps: FloorDeps, options: FloorOptions) {
    const { audience, model } = deps;
    const { streams, call } = options;
    this.#deps = deps;
    this.#options = options;
    this.#spoken = new SpokenText(this.playout);
    this.#language = model.language;
    this.#takesTurns = model.takesTurns ?? false;
    this.#lexicon = lexiconOf(this.#language);
    this.#spoken.lexicon = this.#lexicon;
    this.#playback = new PlaybackRecord(audience);
    this.#wishes = new FillerWishes(this.#filler, { ...deps, streams, phrase: (text) => this.link.connection.phrase?.(text) });
    this.tools = this.#createTools();
    this.conversation = new Conversation(audience, { streams, calls: this.tools });
    this.#record = new TurnRecord(audience, this.conversation);
    const onEvent = (event: ModelEvent, request?: ResponseRequest) => this.#handleModel(event, request);
    this.link = new ModelLink(model, this.playout, onEvent, call, { truncates: !streams });
    if (this.#takesTurns && !streams) {
      const wish = options.uplinkWhileSpeaking ?? model.uplinkWhileSpeaking ?? 'auto';
      this.#uplink = new UplinkRule(wish, (how, floorDb, again) => this.link.connection.listen?.(how, floorDb, again));
    }
    const agent = {
      remainingMs: () => this.#remainingMs(),
      asked: () => this.#spoken.asked,
      playedShare: () => this.#spoken.playedShare,
    };
    this.#turns = new TurnMachine(agent, this.#turnOptions(undefined));
    this.commands = new ConversationCommands(this.conversation, this.link, {
      now: () => deps.clock.now(),
      readiness: () => this.#readiness(),
      restrict: (request) => this.tools.restrict(request),
      onAsked: () => this.#noteAsked(),
      onDecided: (callItemId, approved, reason) => this.tools.approve(callItemId, approved, reason),
      onItem: (item) => this.tools.handleItem(item),
      onCancelled: () => this.#noteCancelled(),
      onTruncated: () => deps.statistics.countTruncation(),
    });
  }

  get turnState(): TurnState {
    return this.#turns.state;
  }

  get heardMs(): number {
    return samplesToMs(this.#heardSamples);
  }

  /** Share of the caller's frames that were made up, 0 to 100. */
  get lostPercent(): number {
    const frames = this.#heardSamples / MODEL_FRAME_SAMPLES;
    return frames === 0 ? 0 : (100 * this.#concealedFrames) / frames;
  }

  /** The call is answered: the model may greet. */
  begin(now: number): void {
    this.#state = 'live';
    this.#lastUplinkAt = now;
    this.#lastAudioAt = now;
    this.#lastBeatAt = now;
    this.#switchTurns(now);
    if (this.tools.hasTools && !this.#modelConfig) this.#configureModel();
    this.link.connection.start();
    this.commands.handleAnswered((fault, requestId) => this.#deps.audience.listener?.({ type: 'fault', ...fault, requestId }));
  }

  configure(config: SessionConfig, now: number): void {
    this.#policy = config.turns;
    this.#transcribeOnly = config.transcribeOnly ?? false;
    this.#idle.timeoutMs = config.turns?.idleTimeoutMs;
    this.#lexicon = lexiconOf(config.model.transcription?.language ?? this.#language);
    this.#spoken.lexicon = this.#lexicon;
    this.#turns.setOptions(this.#turnOptions(config.turns ?? undefined));
    this.#modelConfig = config.model;
    this.#configureModel();
    if (this.#state === 'live') this.#switchTurns(now);
  }

  /** The agent takes no part for a while: it stops in what it says, and nothing is asked of the model. */
  pause(now: number): void {
    if (this.#state !== 'live') return;
    this.#state = 'paused';
    this.#stopSpeech(now);
    // Nobody hears the last word fade, and it is not to be heard when the agent is back.
    if (this.playout.isFading) this.playout.pull(new Int16Array(MODEL_FRAME_SAMPLES), now);
    this.#switchTurns(now);
    this.link.isSilent = true;
    this.link.connection.pause?.();
  }

  /** The agent is back. */
  resume(now: number): void {
    if (this.#state !== 'paused') return;
    this.#state = 'live';
    this.#lastUplinkAt = now;
    this.#lastAudioAt = now;
    this.link.isSilent = false;
    this.link.connection.resume?.();
    this.#switchTurns(now);
  }

  /** What is queued is still said, and nobody interrupts it. */
  beginClosing(now: number): void {
    this.#state = 'closing';
    this.#turns.handle('turns_off', now);
  }

  /** Has nothing been said for so long, and is nothing left to say? */
  isQuiet(forMs: number, now: number): boolean {
    return !this.playout.isReady && this.playout.queuedMs === 0 && now - this.#lastAudioAt >= forMs;
  }

  close(): void {
    this.#state = 'over';
    this.tools.close();
    this.link.close();
    this.#deps.detector.free();
  }

  /** A frame of the caller's audio. */
  hear(pcm: Int16Array, concealed: boolean, now: number): void {
    this.#lastUplinkAt = now;
    this.#watchBeat(now);
    this.#hear(pcm, concealed, now);
  }

  /** The next frame towards the caller; false when it is silence. */
  pull(out: Int16Array, now: number): boolean {
    if (!this.#options.streams) this.#bridgeLostUplink(now);
    this.#watchBeat(now);
    this.#turns.handleTimeout(now);
    this.drain(now);
    if (this.#turns.mayPlay && this.playout.isReady) this.#turns.handle('audio_started', now);
    const sounded = (this.#turns.mayPlay || this.playout.isFading) && this.playout.pull(out, now);
    if (sounded) this.#noteAudio(now);
    else out.fill(0);
    if (sounded && !this.#firstSpeech.isOver) this.#firstSpeech.played(out);
    const heard = (this.#filler.isWanted && this.#fill(out, sounded, now)) || sounded;
    this.#deps.detector.playing?.(heard ? out : undefined);
    this.#uplink?.played(heard);
    this.#afterPull(now);
    return heard;
  }

  /** Music for the caller whenever nobody speaks, for so long; 0: none any more. */
  playMusic(forMs: number, now: number): void {
    if (this.#deps.sounds) this.#filler.playMusic(this.#deps.sounds.music, now + forMs);
  }

  /** The caller pressed a key: whoever speaks stops. */
  interruptByKey(now: number): void {
    this.#idle.callerSpoke();
    if (!this.#options.keysInterrupt) return;
    if (this.#turns.state === 'off') this.#stopSpeech(now);
    this.#turns.handle('key', now);
    this.drain(now);
  }

  /** The caller pressed a key that is for the model. */
  handleKey(digit: string, now: number): void {
    this.interruptByKey(now);
    this.link.expectResponse();
    this.link.connection.dtmf(digit);
    this.drain(now);
  }

  /** What was heard and is not committed becomes a turn; nobody answers it until asked. */
  commitInput(now: number): CommandFault | undefined {
    const turn = this.#record.commitByHand(this.heardMs);
    if ('code' in turn) return turn;
    this.#turns.handle('input_taken', now);
    this.#deps.statistics.countTurn(false);
    this.#idle.callerSpoke();
    this.link.commitTurn({ ...turn, respond: false });
    this.drain(now);
    return undefined;
  }

  /** What was heard and is not committed will be no turn. */
  clearInput(now: number): void {
    this.#turns.handle('input_taken', now);
    this.#record.clear(this.heardMs);
  }

  /** Stops what is on the wire and all that waits to be. Responses that are still being made go on. */
  clearOutput(now: number): void {
    this.#stops.push({ stopped: this.link.clearPlayout(now), reason: 'client_cancelled', onsetAt: now });
    this.drain(now);
  }

  /** Carries out what the turn machine decided. What that leads to is drained by the outer call. */
  drain(now: number): void {
    if (this.#draining) return;
    this.#draining = true;
    try {
      for (let output = this.#turns.pollOutput(); output && this.#state !== 'over'; output = this.#turns.pollOutput()) {
        this.#carryOut(output, now);
      }
      if (this.#stops.length > 0) this.#announceStops();
    } finally {
      this.#draining = false;
    }
  }

  #readiness(): 'pending' | 'live' | 'never' {
    if (this.#transcribeOnly || this.#state === 'closing' || this.#state === 'paused' || this.#state === 'over') return 'never';
    return this.#state;
  }

  /** Turns are taken here when nobody commits them by hand and the model does not want the audio itself. */
  #switchTurns(now: number): void {
    const on = this.#policy !== null && this.#modelTakesTurns && this.#state === 'live';
    this.#turns.handle(on ? 'turns_on' : 'turns_off', now);
    this.drain(now);
  }

  #hear(pcm: Int16Array, concealed: boolean, now: number): void {
    if (this.#policy === null && !this.#record.isCollecting) this.#collect();
    this.#heardSamples += pcm.length;
    if (concealed) this.#concealedFrames += 1;
    this.link.connection.appendAudio(pcm);
    const { state } = this.#turns;
    if (state === 'off' || state === 'lost') return;
    const voice = this.#deps.detector.process(pcm);
    const frame = this.#frame;
    frame.voiced = voice.voiced;
    frame.levelDb = voice.levelDb;
    frame.floorDb = voice.floorDb ?? Number.NEGATIVE_INFINITY;
    frame.near = voice.near === false && this.#firstSpeech.isPerson(voice.levelDb) ? true : voice.near;
    frame.concealed = concealed;
    frame.spilled = voice.voiced && isSpill(pcm);
    frame.heardMs = samplesToMs(this.#heardSamples);
    this.#turns.handleFrame(frame satisfies HeardFrame, now);
    this.drain(now);
    this.#uplink?.heard(this.#turns.holder, this.#deps.detector.couplingDb, frame.floorDb);
  }

  #watchBeat(now: number): void {
    if (now - this.#lastBeatAt >= STUMBLE_MS) this.#deps.detector.stumbled?.();
    this.#lastBeatAt = now;
  }

  /** Audio that somebody will commit begins: the model must keep it. */
  #collect(): void {
    this.#record.collect(this.heardMs);
    this.link.connection.speechStarted(this.heardMs);
  }

  #bridgeLostUplink(now: number): void {
    // One frame a pull: as much as time has passed, once the uplink counts as lost.
    if (now - this.#lastUplinkAt >= UPLINK_LOST_MS) this.#hear(SILENCE, false, now);
  }

  #noteAudio(now: number): void {
    this.#lastAudioAt = now;
    if (this.#speechEndedAt === undefined || this.#turns.state !== 'agent') return;
    this.#deps.statistics.addLatency(now - this.#speechEndedAt);
    this.#speechEndedAt = undefined;
    const latency = this.#latency.left(now, this.#options.rttMs());
    if (!latency) return;
    this.#deps.statistics.addTurn(latency);
    this.#deps.audience.listener?.({ type: 'turn_latency', ...latency });
  }

  #afterPull(now: number): void {
    if (this.playout.hasNews) this.#tellPlayback();
    this.#askIfFree();
    if (this.playout.isReady || this.#state === 'over') return;
    if (this.#turns.state === 'agent') {
      if (!this.link.isResponding && this.playout.queuedMs === 0) this.#turns.handle('audio_ended', now);
      else if (now - this.#lastAudioAt >= STALLED_AFTER_MS) this.#turns.handle('audio_stalled', now);
    }
    if (this.#idle.timeoutMs !== undefined) this.#watchIdle(now);
    this.drain(now);
  }

  #tellPlayback(): void {
    for (let id = this.playout.takeBegun(); id !== undefined; id = this.playout.takeBegun()) {
      this.#idle.agentSpoke();
      if (!this.#options.streams) this.#playback.begun(id);
    }
    for (let id = this.playout.takePlayed(); id !== undefined; id = this.playout.takePlayed()) {
      this.#playback.played(id);
      this.link.connection.played?.(id);
    }
  }

  #watchIdle(now: number): void {
    // Whoever waits for something is not asked why he says nothing.
    if (this.tools.isBusy || this.#filler.isWanted) this.#waitedAt = now;
    if (this.#waitedAt === now || this.#turns.state !== 'idle' || this.link.isBusy || this.#state !== 'live' || this.playout.queuedMs > 0)
      return;
    if (!this.#idle.isDue(now - Math.max(this.#lastAudioAt, this.#waitedAt))) return;
    const turn = this.#record.idle(Math.max(0, this.heardMs - (now - this.#lastAudioAt)), this.heardMs);
    this.#turns.handle('asked', now);
    this.link.commitTurn(turn);
  }

  #handleModel(event: ModelEvent, request: ResponseRequest | undefined): void {
    if (this.#state === 'over') return;
    const now = this.#deps.clock.now();
    switch (event.type) {
      case 'response_started':
        this.conversation.responseStarted(event.responseId, request);
        break;
      case 'audio':
      case 'item_started':
      case 'text':
      case 'transcript':
      case 'arguments':
      case 'item_done':
        this.#noteSaid(event, now);
        this.conversation.write(event);
        return;
      case 'caller_words':
        if (!this.#isOwnEcho(event.words, now)) this.#turns.handleWords(event.words, now);
        break;
      case 'caller_started':
        this.#turns.handleUpstream('started', event.startMs, now);
        break;
      case 'caller_ended':
        this.#turns.handleUpstream('ended', event.endMs, now);
        break;
      case 'input_transcript':
      case 'input_transcript_delta':
      case 'input_transcript_failed':
        this.conversation.transcribe(event);
        return;
      case 'rate_limits':
        this.#deps.audience.listener?.(event);
        return;
      case 'response_done':
        this.#spoken.finish(event.responseId);
        this.conversation.responseDone(event);
        this.#noteNothingMore(now);
        break;
      case 'fault':
        this.#deps.log.debug({ code: event.code, model: this.#deps.model.name }, 'model reports a fault');
        this.#deps.audience.listener?.(event);
        this.#noteNothingMore(now);
        break;
      case 'turn_detection':
        this.#modelTakesTurns = event.enabled;
        this.#switchTurns(now);
        break;
      case 'closed':
        this.conversation.failAll({ code: 'model_connection_lost', message: 'The connection to the model is lost.' });
        this.#turns.handle('model_lost', now);
        this.#options.onCallWish(event, now);
        break;
      default:
        this.#options.onCallWish(event, now);
    }
    this.drain(now);
  }

  /** The model owes nothing any more: if nothing of it is left to play, nobody has the floor. */
  #noteNothingMore(now: number): void {
    if (!this.link.isResponding && this.playout.queuedMs === 0) this.#turns.handle('nothing_to_say', now);
  }

  #noteAsked(): void {
    const now = this.#deps.clock.now();
    this.tools.handleAsked();
    this.link.expectResponse();
    this.#turns.handle('asked', now);
    this.drain(now);
  }

  #noteCancelled(): void {
    const now = this.#deps.clock.now();
    this.#noteNothingMore(now);
    this.drain(now);
  }

  #createTools(): SessionTools {
    const { clock, log, statistics, audience } = this.#deps;
    return new SessionTools(
      { clock, log, calls: statistics.toolCalls },
      {
        finishCall: (place, result) => this.conversation.finishCall(place, result),
        inform: (item) => {
          // What was prepared for the caller's turn did not know of it.
          if (this.#turns.state === 'prepared') this.link.connection.dropPreparation?.();
          this.link.connection.addItem?.(item);
        },
        ask: () => void this.commands.respond({ requestId: `req_${randomText(16)}`, conversation: 'auto' }, true),
        onWaiting: () => {
          this.#wishes.update(this.tools.waiting);
          this.#askIfFree();
        },
        tell: (event) => audience.listener?.(event),
        onApproval: ({ id }) => this.commands.requestApproval(id),
        listStarted: (item) => this.conversation.listStarted(item),
        listDone: (item, failed) => this.conversation.listDone(item, failed),
        onOffered: () => this.#configureModel(),
      },
    );
  }

  #fill(out: Int16Array, sounded: boolean, now: number): boolean {
    const spoken = sounded || this.#state !== 'live' || CALLER_SPEAKS.has(this.#turns.state);
    const added = this.#filler.addTo(out, spoken, now);
    if (added && !sounded) this.#turns.notePlaying(now);
    return added;
  }

  /** Tells the model how it shall be, its tools and ours. Without either it is left as it is. */
  #configureModel(): void {
    if (this.#state === 'over' || (!this.#modelConfig && !this.tools.hasTools)) return;
    const config = this.#modelConfig ?? PLAIN;
    const tools = this.#transcribeOnly ? config.tools : this.tools.offered(config.tools);
    this.link.connection.configure?.({ ...config, tools });
  }

  #askIfFree(): void {
    if (this.#state === 'live' && FREE.has(this.#turns.state) && !this.link.isBusy) this.tools.handleFree();
  }

  #remainingMs(): number {
    return this.link.isResponding ? Number.POSITIVE_INFINITY : this.playout.queuedMs;
  }

  #turnOptions(policy: TurnPolicy | undefined): TurnOptions {
    const { predictor } = this.#deps;
    const { connection } = this.link;
    const prepares = connection.prepareTurn !== undefined && (policy?.respond ?? true) && !this.#transcribeOnly;
    return turnOptionsOf(policy, this.#options.streams, {
      ...this.#options.turns,
      prepares,
      lexicon: this.#lexicon,
      findsWords: connection.findWords !== undefined,
      predicts: predictor !== undefined && !this.#takesTurns,
      takesTurns: this.#takesTurns,
    });
  }

  #noteSaid(event: Extract<ModelEvent, { readonly responseId: string }>, now: number): void {
    if (this.link.isSpoken(event.responseId)) this.#latency.said(event.responseId, now);
    if (event.type === 'transcript') this.#spoken.add(event.responseId, event.itemId, event.delta);
    if (event.type !== 'item_done' || event.item.type !== 'message') return;
    for (const part of event.item.content) {
      if (part.type === 'output_audio' && part.transcript) this.#spoken.complete(event.responseId, event.item.id, part.transcript);
    }
  }

  /** A transcript of the caller that repeats what we have just said is our own voice. */
  #isOwnEcho(words: string, now: number): boolean {
    return now - this.#lastAudioAt <= ECHO_WORDS_MS && isEchoOf(words, this.#spoken.latest);
  }

  /** Asks whoever can tell whether the turn is over. What comes too late, or not at all, changes nothing. */
  #askPredictor({ startMs, endMs, words }: Extract<TurnOutput, { readonly type: 'paused' }>, now: number): void {
    const { predictor, clock } = this.#deps;
    if (!predictor) return;
    const answer = (probability: number | undefined) => {
      if (this.#state === 'over' || clock.now() - now > predictor.timeoutMs) return;
      this.#turns.handlePrediction(probability, endMs);
    };
    predictor.predict({ startMs, endMs, words, agentWords: this.#spoken.latest }).then(answer, () => {});
  }

  #carryOut(output: TurnOutput, now: number): void {
    switch (output.type) {
      case 'speech_started':
        this.#idle.callerSpoke();
        this.#record.speechStarted(output.startMs, () => this.#announceStops());
        this.link.connection.speechStarted(output.startMs);
        break;
      case 'turn_committed':
        this.#commit(output, now);
        break;
      case 'turn_discarded':
        this.#record.discarded(output.endMs);
        this.#deps.statistics.countDiscardedTurn();
        break;
      case 'cancel':
        if (this.#policy?.interrupt ?? true) this.#stopSpeech(now);
        break;
      case 'paused':
        this.#askPredictor(output, now);
        break;
      case 'prepare':
        this.#deps.statistics.countPreparation('asked');
        this.link.connection.prepareTurn?.({ startMs: output.startMs, endMs: output.endMs });
        break;
      case 'find_words':
        this.link.connection.findWords?.(output.startMs, output.endMs);
        break;
      case 'drop_preparation':
        this.#deps.statistics.countPreparation('dropped');
        this.link.connection.dropPreparation?.();
        break;
      case 'hold':
        this.#onsetAt = output.onsetAt;
        this.playout.hold();
        break;
      case 'resume':
        this.playout.resume(output.fromStart);
        this.#lastAudioAt = now; // the hold was not the model's stall
        this.#onsetAt = undefined;
        if (output.why) {
          this.#deps.statistics.countBargeIn('rejected');
          this.#deps.audience.listener?.({ type: 'barge_in_rejected', reason: output.why });
        }
        break;
      case 'interrupt':
        if (output.by === 'voice') this.#deps.statistics.countBargeIn('interrupted');
        this.#stopSpeech(now);
        break;
    }
    this.#deps.log.trace({ output }, 'turn');
  }

  #commit(output: Extract<TurnOutput, { readonly type: 'turn_committed' }>, now: number): void {
    this.#deps.statistics.countTurn(output.continued);
    this.#speechEndedAt = output.speechEndedAt;
    const turn = this.#record.committed(output.startMs, output.endMs);
    // Who must not be interrupted is not asked a second thing either.
    const respond = (this.#policy?.respond ?? true) && !this.#transcribeOnly && !this.link.isBusy;
    if (respond) {
      this.#latency.decided(turn.itemId, output.speechEndedAt, now);
      this.tools.handleAsked();
    }
    if (!output.upstream) this.link.commitTurn({ ...turn, respond });
    else {
      if (respond) this.link.awaitAnswer();
      this.link.connection.turnTaken?.({ ...turn, respond });
    }
    this.#latency.requested(this.#deps.clock.now());
    if (!respond) this.#turns.handle('nothing_to_say', now);
  }

  #stopSpeech(now: number): void {
    this.#speechEndedAt = undefined;
    this.#latency.dropped();
    this.#stops.push({ stopped: this.link.stopResponses(now), reason: 'turn_detected', onsetAt: this.#onsetAt ?? now });
    this.#onsetAt = undefined;
  }

  #announceStops(): void {
    for (const { stopped, reason, onsetAt } of this.#stops.splice(0)) {
      for (const responseId of stopped.responseIds) this.conversation.stop(responseId, reason);
      if (this.#options.streams) continue;
      this.#playback.cleared();
      for (const each of stopped.cut) {
        if (!this.conversation.cut(each)) continue;
        this.#deps.statistics.countTruncation();
        this.#tellHeard(each, onsetAt);
      }
    }
  }

  /** What of an item that was cut off had reached the caller's ear when the voice began: an estimate. */
  #tellHeard({ itemId, sentMs }: CutItem, onsetAt: number): void {
    const { listener } = this.#deps.audience;
    if (!listener) return;
    const before = onsetAt - (this.#options.rttMs() ?? 0) / 2 - FAR_BUFFER_MS;
    const { heardMs, transcript } = this.#spoken.heardBefore(itemId, before);
    listener({ type: 'item_heard', itemId, audioEndMs: sentMs, heardMs, transcript, toleranceMs: HEARD_TOLERANCE_MS });
  }
}
