import { Announcer } from './announcer.ts';
import { element } from './element.ts';
import { type Failure, insecurePage } from './failures.ts';
import { buildKeyPad } from './key-pad.ts';
import { phoneFailure } from './phone-failures.ts';
import { Softphone, type SoftphoneCall } from './softphone.ts';

const registerForm = element<HTMLFormElement>('register');
const userField = element<HTMLInputElement>('user');
const passwordField = element<HTMLInputElement>('password');
const destination = element<HTMLInputElement>('destination');
const muteButton = element<HTMLButtonElement>('mute');
const holdButton = element<HTMLButtonElement>('hold');
const padButton = element<HTMLButtonElement>('pad-toggle');
const pad = element('pad');
const clock = element('clock');
const voice = element<HTMLAudioElement>('voice');
const announcer = new Announcer(element('announcer'));

const CLOCK_EVERY_MS = 250;

/** A call, from its first sign to its end. */
interface Running {
  readonly call: SoftphoneCall;
  readonly isIncoming: boolean;
  upAt: number | undefined;
  timer: number | undefined;
}

let phone: Softphone | undefined;
let running: Running | undefined;

function show(failure: Failure): void {
  element('problem-title').textContent = failure.title;
  element('problem-text').textContent = failure.text;
  element('problem').hidden = false;
}

function fail(thrown: unknown): void {
  show(phoneFailure(thrown));
}

function clear(): void {
  element('problem').hidden = true;
}

function setAccount(state: 'none' | 'waiting' | 'registered' | 'lost', text: string): void {
  document.body.dataset['account'] = state;
  element('account-state').textContent = text;
  const known = state === 'registered' || state === 'lost';
  registerForm.hidden = known;
  element('account').hidden = !known;
  for (const button of registerForm.querySelectorAll('button')) button.disabled = state === 'waiting';
  showSections();
}

function setCall(state: 'none' | 'incoming' | 'ringing' | 'live', text: string): void {
  document.body.dataset['call'] = state;
  element('status').textContent = text;
  for (const control of [muteButton, holdButton, padButton]) control.disabled = state !== 'live';
  showSections();
}

function showSections(): void {
  const { account, call } = document.body.dataset;
  element('dialler').hidden = account !== 'registered' || call !== 'none';
  element('incoming').hidden = call !== 'incoming';
  element('call').hidden = call !== 'ringing' && call !== 'live';
}

async function register(): Promise<void> {
  clear();
  const user = userField.value.trim();
  setAccount('waiting', 'Registering');
  let mine: Softphone | undefined;
  try {
    mine = new Softphone(
      { user, password: passwordField.value },
      {
        onIncoming: (call) => ring(call),
        onRegistered: (is, failure) => {
          if (phone === undefined || phone !== mine) return;
          setAccount(is ? 'registered' : 'lost', is ? 'Registered' : 'Connection lost');
          if (is) clear();
          else if (failure !== undefined) fail(failure);
        },
      },
    );
    await mine.start();
    phone = mine;
    passwordField.value = '';
    element('account-name').textContent = user;
    setAccount('registered', 'Registered');
    announcer.say(`Registered as ${user}`);
    destination.focus();
  } catch (thrown) {
    void mine?.stop();
    setAccount('none', 'Not registered');
    fail(thrown);
    passwordField.focus();
  }
}

async function signOff(): Promise<void> {
  const leaving = phone;
  phone = undefined;
  await running?.call.hangUp().catch(() => undefined);
  setAccount('none', 'Not registered');
  await leaving?.stop();
  userField.focus();
}

function begin(call: SoftphoneCall, isIncoming: boolean): Running {
  const mine: Running = { call, isIncoming, upAt: undefined, timer: undefined };
  running = mine;
  call.listen({
    onRinging: () => {
      if (running === mine && mine.upAt === undefined) setCall('ringing', 'Ringing');
    },
    onUp: (stream) => up(mine, stream),
    onEnded: (failure) => end(mine, failure),
  });
  return mine;
}

async function dial(name: string): Promise<void> {
  if (!phone || running || name.trim() === '') return;
  clear();
  let mine: Running | undefined;
  try {
    mine = begin(phone.call(name), false);
    element('call-title').textContent = name;
    setCall('ringing', 'Calling');
    element('hangup').focus();
    await mine.call.ring();
  } catch (thrown) {
    if (mine) end(mine, thrown);
    else fail(thrown);
  }
}

function ring(call: SoftphoneCall): void {
  // One line: who calls meanwhile hears that it is busy.
  if (running) {
    void call.busy();
    return;
  }
  const mine = begin(call, true);
  clear();
  element('incoming-title').textContent = `${call.name} calls`;
  element('call-title').textContent = call.name;
  setCall('incoming', '');
  announcer.say(`${call.name} calls`);
  if (running === mine) element('accept').focus();
}

async function accept(): Promise<void> {
  const mine = running;
  if (!mine) return;
  setCall('ringing', 'Connecting');
  try {
    await mine.call.accept();
  } catch (thrown) {
    void mine.call.decline().catch(() => undefined);
    end(mine, thrown);
  }
}

function up(mine: Running, stream: MediaStream): void {
  if (running !== mine || mine.upAt !== undefined) return;
  mine.upAt = performance.now();
  voice.srcObject = stream;
  setCall('live', 'Connected');
  announcer.say('Connected');
  mine.timer = setInterval(() => {
    const seconds = Math.floor((performance.now() - (mine.upAt ?? 0)) / 1000);
    const text = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
    if (clock.textContent !== text) clock.textContent = text;
  }, CLOCK_EVERY_MS);
}

function end(mine: Running, failure?: unknown): void {
  if (running !== mine) return;
  running = undefined;
  clearInterval(mine.timer);
  voice.srcObject = null;
  clock.textContent = '';
  for (const button of [muteButton, holdButton]) button.setAttribute('aria-pressed', 'false');
  pad.hidden = true;
  padButton.setAttribute('aria-expanded', 'false');
  setCall('none', '');
  announcer.say('The call is over');
  if (failure !== undefined) fail(failure);
  if (phone) destination.focus();
}

/** Once a button is pressed, its new state; undone when it cannot be. */
async function toggle(button: HTMLButtonElement, change: (pressed: boolean) => unknown): Promise<void> {
  const pressed = button.getAttribute('aria-pressed') !== 'true';
  button.disabled = true;
  try {
    await change(pressed);
    button.setAttribute('aria-pressed', String(pressed));
  } catch (thrown) {
    fail(thrown);
  } finally {
    button.disabled = document.body.dataset['call'] !== 'live';
  }
}

registerForm.addEventListener('submit', (submitted) => {
  submitted.preventDefault();
  void register();
});
element('unregister').addEventListener('click', () => void signOff());
element('dial').addEventListener('submit', (submitted) => {
  submitted.preventDefault();
  void dial(destination.value);
});
element('agent').addEventListener('click', () => void dial('agent'));
element('accept').addEventListener('click', () => void accept());
element('decline').addEventListener('click', () => void running?.call.decline().catch(fail));
element('hangup').addEventListener('click', () => void running?.call.hangUp().catch(fail));
muteButton.addEventListener('click', () => void toggle(muteButton, (pressed) => running?.call.mute(pressed)));
holdButton.addEventListener('click', () => {
  void toggle(holdButton, async (pressed) => {
    await running?.call.hold(pressed);
    element('status').textContent = pressed ? 'On hold' : 'Connected';
  });
});
padButton.addEventListener('click', () => {
  pad.hidden = !pad.hidden;
  padButton.setAttribute('aria-expanded', String(!pad.hidden));
});
window.addEventListener('pagehide', () => void phone?.stop());

buildKeyPad(pad, (key) => void running?.call.press(key).catch(fail));

const insecure = insecurePage({ isSecure: window.isSecureContext, hasDevices: navigator.mediaDevices !== undefined, host: location.host });
if (insecure) {
  show({ ...insecure, text: `${insecure.text} https://${location.host}/phone` });
  for (const button of registerForm.querySelectorAll('button')) button.disabled = true;
}
setCall('none', '');
setAccount('none', 'Not registered');
