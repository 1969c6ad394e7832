import { Announcer } from './announcer.ts';
import { Call, makeCertificate } from './call.ts';
import { Conversation, type Floor, type ServerEvent } from './conversation.ts';
import { listDevices, openMicrophone } from './devices.ts';
import { element } from './element.ts';
import { EventView } from './event-view.ts';
import { failureOf, insecurePage, MicrophoneGone } from './failures.ts';
import { buildKeyPad } from './key-pad.ts';
import { LevelMeter } from './level-meter.ts';
import { ProblemView } from './problem-view.ts';
import { spokenForm, TranscriptView } from './transcript-view.ts';
import { TurnStopwatch } from './turn-latency.ts';

const KEY = 'ringdown-key';

const callButton = element<HTMLButtonElement>('call');
const muteButton = element<HTMLButtonElement>('mute');
const interruptButton = element<HTMLButtonElement>('interrupt');
const padButton = element<HTMLButtonElement>('pad-toggle');
const pad = element('pad');
const microphoneList = element<HTMLSelectElement>('microphone');
const speakerList = element<HTMLSelectElement>('speaker');
const voice = element<HTMLAudioElement>('voice');
const writeForm = element<HTMLFormElement>('write');
const textField = element<HTMLInputElement>('text');
const levelOfCaller = element<HTMLMeterElement>('level-caller');
const clock = element('clock');
const levelOfAgent = element<HTMLMeterElement>('level-agent');

const transcript = new TranscriptView(element('transcript'));
const announcer = new Announcer(element('announcer'));
const problem = new ProblemView({
  listen: () => void begin({ listenOnly: true }),
  useKey: (key) => {
    sessionStorage.setItem(KEY, key);
    void begin();
  },
});
const events = new EventView(element('events'), element('events-count'));

/** Everything that lives as long as one call. */
interface Running {
  readonly call: Call;
  readonly conversation: Conversation;
  readonly stopwatch: TurnStopwatch;
  context: AudioContext | undefined;
  voice: MediaStream | undefined;
  microphone: MediaStream | undefined;
  callerMeter: LevelMeter | undefined;
  agentMeter: LevelMeter | undefined;
  startedAt: number | undefined;
  agentSounds: boolean;
  /** Why the gateway says that the call is over. */
  reason: string | undefined;
  /** Turns that a screen reader has been told of. */
  readonly announced: Set<string>;
  routeTimer: number | undefined;
  lookTimer: number | undefined;
  looks: number;
}

const certificate = makeCertificate();

let running: Running | undefined;
/** Pressed before the microphone was there. */
let starting = false;

const SAYINGS: Readonly<Record<Floor, string>> = {
  listening: 'Listening',
  caller: 'You speak',
  thinking: 'The agent thinks',
  agent: 'The agent speaks',
};

/** What the gateway's reasons mean to the caller; the rest is a call that is over. */
const ENDINGS: Readonly<Record<string, string>> = {
  agent_hangup: 'The agent hung up',
  duration_cap: 'The call was as long as calls may be',
  shutdown: 'The gateway is shutting down',
  media_failed: 'The audio was lost',
  media_timeout: 'The audio was lost',
};

const ROUTE_EVERY_MS = 2000;

/** A frame of audio: the stopwatch is as exact as this. */
const LOOK_EVERY_MS = 20;
/** Ten pictures a second are a lively meter. */
const LOOKS_A_PICTURE = 5;
const LEVEL_STEPS = 32;

function setState(state: 'idle' | 'connecting' | 'live', status: string): void {
  document.body.dataset['state'] = state;
  element('status').textContent = status;
  element('call-label').textContent = state === 'idle' ? 'Talk' : 'Hang up';
  const live = state === 'live';
  for (const control of [interruptButton, textField]) control.disabled = !live;
  // Keys travel with the microphone's audio.
  for (const control of [muteButton, padButton]) control.disabled = !live || running?.microphone === undefined;
  for (const button of writeForm.querySelectorAll('button')) button.disabled = !live;
}

async function begin({ listenOnly = false } = {}): Promise<void> {
  if (running || starting) return;
  starting = true;
  problem.clear();
  setState('connecting', listenOnly ? 'Connecting' : 'Waiting for the microphone');
  let microphone: MediaStream | undefined;
  try {
    microphone = listenOnly ? undefined : await openMicrophone(microphoneList.value);
    if (!starting) {
      stopTracks(microphone);
      return;
    }
    setState('connecting', 'Connecting');
    await connect(microphone);
  } catch (thrown) {
    if (running) end(running, thrown);
    else {
      stopTracks(microphone);
      setState('idle', 'No call');
      problem.show(failureOf(thrown));
    }
  } finally {
    starting = false;
  }
}

async function connect(microphone: MediaStream | undefined): Promise<void> {
  const key = sessionStorage.getItem(KEY) ?? undefined;
  const call = new Call(
    {
      onOpen: () => opened(mine),
      onEvent: (event) => receive(mine, event),
      onVoice: (stream) => {
        voice.srcObject = stream;
        mine.voice = stream;
      },
      onInterrupted: (isInterrupted) => interrupted(mine, isInterrupted),
      onEnded: (failure) => end(mine, failure),
    },
    { microphone, key, certificate: await certificate },
  );
  const mine: Running = {
    call,
    conversation: new Conversation(),
    stopwatch: new TurnStopwatch(),
    context: undefined,
    voice: undefined,
    microphone,
    callerMeter: undefined,
    agentMeter: undefined,
    startedAt: undefined,
    agentSounds: false,
    reason: undefined,
    announced: new Set(),
    routeTimer: undefined,
    lookTimer: undefined,
    looks: 0,
  };
  running = mine;
  mine.lookTimer = setInterval(() => look(mine), LOOK_EVERY_MS);
  if (microphone) watchMicrophone(mine, microphone);
  transcript.show([]);
  await call.start();
}

function opened(mine: Running): void {
  if (running !== mine) return;
  mine.startedAt = performance.now();
  setState('live', SAYINGS[mine.conversation.floor]);
  // Here and not sooner: making it would hold up the call.
  mine.context = new AudioContext();
  mine.agentMeter = mine.voice && new LevelMeter(mine.context, mine.voice);
  mine.callerMeter = mine.microphone && new LevelMeter(mine.context, mine.microphone);
  announcer.say('Connected');
  mine.routeTimer = setInterval(() => void showRoute(mine), ROUTE_EVERY_MS);
  void showRoute(mine);
  // Devices have names now.
  void refreshDevices();
}

async function showRoute(mine: Running): Promise<void> {
  const route = await mine.call.route();
  if (route && running === mine) element('route').textContent = `${Math.round(route.roundTripMs)} ms by ${route.protocol}`;
}

function interrupted(mine: Running, isInterrupted: boolean): void {
  if (running !== mine || mine.startedAt === undefined) return;
  const status = isInterrupted ? 'The connection is interrupted …' : SAYINGS[mine.conversation.floor];
  element('status').textContent = status;
  announcer.say(isInterrupted ? 'The connection is interrupted' : 'Connected again');
}

function receive(mine: Running, event: ServerEvent): void {
  events.add(event, 'in');
  if (event.type === 'input_audio_buffer.committed') mine.stopwatch.decided(performance.now());
  if (event.type === 'error' && !isLateCancel(event)) mine.conversation.note(messageOf(event));
  if (event.type === 'call.ended') mine.reason = typeof event['reason'] === 'string' ? event['reason'] : undefined;
  mine.conversation.handle(event);
  transcript.show(mine.conversation.turns);
  announceTurns(mine);
  if (document.body.dataset['state'] === 'live') element('status').textContent = SAYINGS[mine.conversation.floor];
}

/** Each once, when it is over: nobody wants to have a sentence read while it grows. */
function announceTurns({ conversation, announced }: Running): void {
  for (const turn of conversation.turns) {
    if (!turn.over || announced.has(turn.id)) continue;
    announced.add(turn.id);
    announcer.say(spokenForm(turn));
  }
}

/** The response was over when it was asked to stop: nothing that anybody needs to know. */
function isLateCancel(event: ServerEvent): boolean {
  return (event['error'] as { code?: unknown } | undefined)?.code === 'response_cancel_not_active';
}

function messageOf(event: ServerEvent): string {
  const error = event['error'] as { message?: unknown } | undefined;
  return typeof error?.message === 'string' ? error.message : 'The gateway reports an error.';
}

function send(event: { readonly type: string } & Readonly<Record<string, unknown>>): void {
  if (running?.call.send(event)) events.add(event, 'out');
}

function look(mine: Running): void {
  const now = performance.now();
  const caller = mine.callerMeter?.read();
  const agent = mine.agentMeter?.read();
  if (caller?.voiced && muteButton.getAttribute('aria-pressed') !== 'true') mine.stopwatch.voice(now);
  // Silence between words is none; silence before the answer is what the stopwatch measures.
  if (agent?.voiced && !mine.agentSounds) hear(mine, now);
  mine.agentSounds = agent?.voiced ?? false;
  mine.looks += 1;
  if (mine.looks % LOOKS_A_PICTURE !== 0) return;
  showLevel(levelOfCaller, caller?.shown ?? 0);
  showLevel(levelOfAgent, agent?.shown ?? 0);
  const time = mine.startedAt === undefined ? '' : clockTime(now - mine.startedAt);
  if (clock.textContent !== time) clock.textContent = time;
}

/** A picture costs much more than a look: one is made only when it differs. */
function showLevel(meter: HTMLMeterElement, level: number): void {
  const shown = Math.round(level * LEVEL_STEPS) / LEVEL_STEPS;
  if (meter.value === shown) return;
  meter.value = shown;
  document.documentElement.style.setProperty(`--${meter.id}`, String(shown));
}

function hear(mine: Running, now: number): void {
  const latency = mine.stopwatch.heard(now);
  if (!latency) return;
  mine.conversation.addLatency(latency);
  transcript.show(mine.conversation.turns);
}

function clockTime(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

function end(mine: Running, failure?: unknown): void {
  if (running !== mine) return;
  running = undefined;
  mine.call.hangUp();
  mine.callerMeter?.close();
  mine.agentMeter?.close();
  void mine.context?.close();
  stopTracks(mine.microphone);
  clearInterval(mine.routeTimer);
  clearInterval(mine.lookTimer);
  element('route').textContent = '';
  voice.srcObject = null;
  for (const meter of [levelOfCaller, levelOfAgent]) showLevel(meter, 0);
  if (pad.contains(document.activeElement)) callButton.focus();
  muteButton.setAttribute('aria-pressed', 'false');
  pad.hidden = true;
  padButton.setAttribute('aria-expanded', 'false');
  const ending = ENDINGS[mine.reason ?? ''] ?? 'The call is over';
  setState('idle', mine.startedAt === undefined ? 'No call' : ending);
  if (mine.startedAt !== undefined) announcer.say(ending);
  if (failure !== undefined) problem.show(failureOf(failure));
}

/** Unplugged, or taken by the system: nobody is heard any more. */
function watchMicrophone(mine: Running, stream: MediaStream): void {
  stream.getAudioTracks()[0]?.addEventListener('ended', () => {
    if (running === mine && mine.microphone === stream) problem.show(failureOf(new MicrophoneGone()));
  });
}

function stopTracks(stream: MediaStream | undefined): void {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

async function refreshDevices(): Promise<void> {
  await Promise.all([listDevices('audioinput', microphoneList), listDevices('audiooutput', speakerList)]);
  speakerList.disabled = !('setSinkId' in voice);
}

async function changeMicrophone(): Promise<void> {
  const mine = running;
  if (!mine) return;
  const stream = await openMicrophone(microphoneList.value);
  if (running !== mine) {
    stopTracks(stream);
    return;
  }
  await mine.call.useMicrophone(stream);
  stopTracks(mine.microphone);
  problem.clear();
  watchMicrophone(mine, stream);
  mine.callerMeter?.close();
  mine.microphone = stream;
  mine.callerMeter = mine.context && new LevelMeter(mine.context, stream);
  for (const control of [muteButton, padButton]) control.disabled = mine.startedAt === undefined;
  applyMute();
}

function applyMute(): void {
  const muted = muteButton.getAttribute('aria-pressed') === 'true';
  for (const track of running?.microphone?.getAudioTracks() ?? []) track.enabled = !muted;
}

callButton.addEventListener('click', () => {
  if (running) end(running);
  else if (starting) {
    starting = false;
    setState('idle', 'No call');
  } else void begin();
});

muteButton.addEventListener('click', () => {
  const muted = muteButton.getAttribute('aria-pressed') !== 'true';
  muteButton.setAttribute('aria-pressed', String(muted));
  applyMute();
});

interruptButton.addEventListener('click', () => {
  // What is made already may still be played for long.
  if (running?.conversation.responds) send({ type: 'response.cancel' });
  send({ type: 'output_audio_buffer.clear' });
});

padButton.addEventListener('click', () => {
  pad.hidden = !pad.hidden;
  padButton.setAttribute('aria-expanded', String(!pad.hidden));
});

writeForm.addEventListener('submit', (submitted) => {
  submitted.preventDefault();
  const words = textField.value.trim();
  if (words === '') return;
  send({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content: [{ type: 'input_text', text: words }] } });
  send({ type: 'response.create' });
  textField.value = '';
});

microphoneList.addEventListener('change', () => {
  changeMicrophone().catch((thrown: unknown) => problem.show(failureOf(thrown)));
});

speakerList.addEventListener('change', () => {
  voice.setSinkId(speakerList.value).catch((thrown: unknown) => problem.show(failureOf(thrown)));
});

window.addEventListener('pagehide', () => running?.call.hangUp());

buildKeyPad(pad, (key) => running?.call.press(key));

const insecure = insecurePage({ isSecure: window.isSecureContext, hasDevices: navigator.mediaDevices !== undefined, host: location.host });
if (insecure) {
  problem.show(insecure);
  callButton.disabled = true;
  setState('idle', 'No microphone here');
} else {
  setState('idle', 'Press Talk and say something.');
  navigator.mediaDevices.addEventListener('devicechange', () => void refreshDevices());
}
