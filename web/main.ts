import { Call } from './call.ts';
import { Conversation, type Floor, type ServerEvent } from './conversation.ts';
import { listDevices, openMicrophone } from './devices.ts';
import { EventView } from './event-view.ts';
import { type Failure, failureOf, insecurePage } from './failures.ts';
import { buildKeyPad } from './key-pad.ts';
import { LevelMeter } from './level-meter.ts';
import { TranscriptView } from './transcript-view.ts';
import { TurnStopwatch } from './turn-latency.ts';

const KEY = 'ringdown-key';

const element = <T extends HTMLElement>(id: string): T => {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found as T;
};

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
const keyForm = element<HTMLFormElement>('key-form');
const levelOfCaller = element<HTMLMeterElement>('level-caller');
const levelOfAgent = element<HTMLMeterElement>('level-agent');

const transcript = new TranscriptView(element('transcript'));
const events = new EventView(element('events'), element('events-count'));

/** Everything that lives as long as one call. */
interface Running {
  readonly call: Call;
  readonly conversation: Conversation;
  readonly stopwatch: TurnStopwatch;
  readonly context: AudioContext;
  microphone: MediaStream | undefined;
  callerMeter: LevelMeter | undefined;
  agentMeter: LevelMeter | undefined;
  startedAt: number | undefined;
  agentSounds: boolean;
}

let running: Running | undefined;
/** Pressed before the microphone was there. */
let starting = false;

const SAYINGS: Readonly<Record<Floor, string>> = {
  listening: 'Listening',
  caller: 'You speak',
  thinking: 'The agent thinks',
  agent: 'The agent speaks',
};

function setState(state: 'idle' | 'connecting' | 'live', status: string): void {
  document.body.dataset['state'] = state;
  element('status').textContent = status;
  element('call-label').textContent = state === 'idle' ? 'Talk' : 'Hang up';
  const live = state === 'live';
  for (const control of [muteButton, interruptButton, padButton, textField]) control.disabled = !live;
  for (const button of writeForm.querySelectorAll('button')) button.disabled = !live;
}

function showProblem(failure: Failure | undefined): void {
  const action = element('problem-action');
  action.replaceChildren();
  keyForm.hidden = failure?.action?.type !== 'key';
  element('problem').hidden = failure === undefined;
  if (!failure) return;
  element('problem-title').textContent = failure.title;
  element('problem-text').textContent = failure.text;
  if (failure.action?.type === 'link') {
    const link = document.createElement('a');
    link.href = failure.action.href;
    link.textContent = failure.action.label;
    action.append(link);
  } else if (failure.action?.type === 'listen') {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = failure.action.label;
    button.addEventListener('click', () => void begin({ listenOnly: true }));
    action.append(button);
  }
}

async function begin({ listenOnly = false } = {}): Promise<void> {
  if (running || starting) return;
  starting = true;
  showProblem(undefined);
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
      showProblem(failureOf(thrown));
    }
  } finally {
    starting = false;
  }
}

async function connect(microphone: MediaStream | undefined): Promise<void> {
  const context = new AudioContext();
  const key = sessionStorage.getItem(KEY) ?? undefined;
  const call = new Call(
    {
      onOpen: () => opened(mine),
      onEvent: (event) => receive(mine, event),
      onVoice: (stream) => {
        voice.srcObject = stream;
        mine.agentMeter = new LevelMeter(context, stream);
      },
      onEnded: (failure) => end(mine, failure),
    },
    { microphone, key },
  );
  const mine: Running = {
    call,
    conversation: new Conversation(),
    stopwatch: new TurnStopwatch(),
    context,
    microphone,
    callerMeter: microphone && new LevelMeter(context, microphone),
    agentMeter: undefined,
    startedAt: undefined,
    agentSounds: false,
  };
  running = mine;
  transcript.show([]);
  await Promise.all([call.start(), refreshDevices()]);
  requestAnimationFrame(() => frame(mine));
}

function opened(mine: Running): void {
  if (running !== mine) return;
  mine.startedAt = performance.now();
  setState('live', SAYINGS.listening);
}

function receive(mine: Running, event: ServerEvent): void {
  events.add(event, 'in');
  if (event.type === 'input_audio_buffer.committed') mine.stopwatch.decided(performance.now());
  if (event.type === 'error') mine.conversation.note(messageOf(event));
  mine.conversation.handle(event);
  transcript.show(mine.conversation.turns);
  if (document.body.dataset['state'] === 'live') element('status').textContent = SAYINGS[mine.conversation.floor];
}

function messageOf(event: ServerEvent): string {
  const error = event['error'] as { message?: unknown } | undefined;
  return typeof error?.message === 'string' ? error.message : 'The gateway reports an error.';
}

function send(event: { readonly type: string } & Readonly<Record<string, unknown>>): void {
  if (running?.call.send(event)) events.add(event, 'out');
}

function frame(mine: Running): void {
  if (running !== mine) return;
  const now = performance.now();
  const caller = mine.callerMeter?.read();
  const agent = mine.agentMeter?.read();
  if (caller?.voiced && muteButton.getAttribute('aria-pressed') !== 'true') mine.stopwatch.voice(now);
  // Silence between words is none; silence before the answer is what the stopwatch measures.
  if (agent?.voiced && !mine.agentSounds) hear(mine, now);
  mine.agentSounds = agent?.voiced ?? false;
  levelOfCaller.value = caller?.shown ?? 0;
  levelOfAgent.value = agent?.shown ?? 0;
  document.documentElement.style.setProperty('--level-caller', String(levelOfCaller.value));
  document.documentElement.style.setProperty('--level-agent', String(levelOfAgent.value));
  if (mine.startedAt !== undefined) element('clock').textContent = clockTime(now - mine.startedAt);
  requestAnimationFrame(() => frame(mine));
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
  void mine.context.close();
  stopTracks(mine.microphone);
  voice.srcObject = null;
  for (const meter of [levelOfCaller, levelOfAgent]) meter.value = 0;
  muteButton.setAttribute('aria-pressed', 'false');
  pad.hidden = true;
  padButton.setAttribute('aria-expanded', 'false');
  setState('idle', mine.startedAt === undefined ? 'No call' : 'The call is over');
  if (failure !== undefined) showProblem(failureOf(failure));
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
  mine.callerMeter?.close();
  mine.microphone = stream;
  mine.callerMeter = new LevelMeter(mine.context, stream);
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
  muteButton.textContent = muted ? 'Muted' : 'Mute';
  applyMute();
});

interruptButton.addEventListener('click', () => {
  send({ type: 'response.cancel' });
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

keyForm.addEventListener('submit', (submitted) => {
  submitted.preventDefault();
  sessionStorage.setItem(KEY, element<HTMLInputElement>('key').value.trim());
  void begin();
});

microphoneList.addEventListener('change', () => {
  changeMicrophone().catch((thrown: unknown) => showProblem(failureOf(thrown)));
});

speakerList.addEventListener('change', () => {
  voice.setSinkId(speakerList.value).catch((thrown: unknown) => showProblem(failureOf(thrown)));
});

window.addEventListener('pagehide', () => running?.call.hangUp());

buildKeyPad(pad, (key) => running?.call.press(key));

const insecure = insecurePage({ isSecure: window.isSecureContext, hasDevices: navigator.mediaDevices !== undefined, host: location.host });
if (insecure) {
  showProblem(insecure);
  callButton.disabled = true;
  setState('idle', 'No microphone here');
} else {
  setState('idle', 'Press Talk and say something.');
  navigator.mediaDevices.addEventListener('devicechange', () => void refreshDevices());
}
