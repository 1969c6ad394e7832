import { Announcer } from './announcer.ts';
import { element } from './element.ts';
import { type Failure, insecurePage } from './failures.ts';
import { buildKeyPad } from './key-pad.ts';
import { phoneFailure } from './phone-failures.ts';
import { isOpen, open, type ShownCall, showCalls } from './phone-view.ts';
import { Softphone, type SoftphoneCall } from './softphone.ts';

const registerForm = element<HTMLFormElement>('register');
const userField = element<HTMLInputElement>('user');
const passwordField = element<HTMLInputElement>('password');
const destination = element<HTMLInputElement>('destination');
const transferTo = element<HTMLInputElement>('transfer-to');
const muteButton = element<HTMLButtonElement>('mute');
const holdButton = element<HTMLButtonElement>('hold');
const padButton = element<HTMLButtonElement>('pad-toggle');
const transferButton = element<HTMLButtonElement>('transfer-toggle');
const clock = element('clock');
const voice = element<HTMLAudioElement>('voice');
const announcer = new Announcer(element('announcer'));

const CLOCK_EVERY_MS = 250;

/** A call, from its first sign to its end. */
type Running = { -readonly [Key in keyof ShownCall]: ShownCall[Key] } & {
  readonly call: SoftphoneCall;
  upAt: number | undefined;
  stream: MediaStream | undefined;
};

let phone: Softphone | undefined;
/** The call that is talked in, or about to be. */
let running: Running | undefined;
/** Held while its user asks somebody else whether that one takes it. */
let waiting: Running | undefined;

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

function render(): void {
  showCalls(running, waiting);
  const stream = running?.stream ?? null;
  if (voice.srcObject !== stream) voice.srcObject = stream;
  tick();
}

function tick(): void {
  const seconds = running?.upAt === undefined ? undefined : Math.floor((performance.now() - running.upAt) / 1000);
  const text = seconds === undefined ? '' : `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
  if (clock.textContent !== text) clock.textContent = text;
}

function setAccount(state: 'none' | 'waiting' | 'registered' | 'lost', text: string): void {
  document.body.dataset['account'] = state;
  element('account-state').textContent = text;
  const known = state === 'registered' || state === 'lost';
  registerForm.hidden = known;
  element('account').hidden = !known;
  for (const button of registerForm.querySelectorAll('button')) button.disabled = state === 'waiting';
  render();
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
  for (const each of [running, waiting]) await each?.call.hangUp().catch(() => undefined);
  setAccount('none', 'Not registered');
  await leaving?.stop();
  userField.focus();
}

function begin(call: SoftphoneCall, name: string, state: ShownCall['state'], said: string): Running {
  const mine: Running = {
    ...{ call, name, state, said, muted: false, held: false, busy: false, transferring: false, upAt: undefined, stream: undefined },
  };
  running = mine;
  call.listen({
    onRinging: () => {
      if (mine.state === 'ringing') change(mine, { said: 'Ringing' });
    },
    onUp: (stream) => up(mine, stream),
    onEnded: (failure) => end(mine, failure),
  });
  render();
  return mine;
}

function change(mine: Running, to: Partial<ShownCall>): void {
  Object.assign(mine, to);
  render();
}

async function dial(name: string): Promise<void> {
  if (!phone || running || name.trim() === '') return;
  clear();
  let mine: Running | undefined;
  try {
    mine = begin(phone.call(name), name, 'ringing', 'Calling');
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
  clear();
  const mine = begin(call, call.name, 'incoming', '');
  announcer.say(`${call.name} calls`);
  if (running === mine) element('accept').focus();
}

async function accept(): Promise<void> {
  const mine = running;
  if (!mine) return;
  change(mine, { state: 'ringing', said: 'Connecting' });
  try {
    await mine.call.accept();
  } catch (thrown) {
    void mine.call.decline().catch(() => undefined);
    end(mine, thrown);
  }
}

function up(mine: Running, stream: MediaStream): void {
  if (mine.upAt !== undefined) return;
  mine.upAt = performance.now();
  mine.stream = stream;
  change(mine, { state: 'live', said: 'Connected' });
  announcer.say('Connected');
}

function end(mine: Running, failure?: unknown): void {
  if (mine === waiting) {
    waiting = undefined;
    if (!mine.transferring) announcer.say(`${mine.name} has gone`);
    render();
    return;
  }
  if (running !== mine) return;
  running = waiting;
  waiting = undefined;
  announcer.say(mine.transferring ? `${mine.name} is transferred` : 'The call is over');
  render();
  if (failure !== undefined) fail(failure);
  if (running) void hold(running, false);
  else if (phone) destination.focus();
}

/** Holds the call or takes it back; shows what has become of it. @returns whether it could be done */
async function hold(mine: Running, held: boolean): Promise<boolean> {
  change(mine, { busy: true });
  try {
    await mine.call.hold(held);
    change(mine, { held, said: held ? 'On hold' : 'Connected' });
    return true;
  } catch (thrown) {
    fail(thrown);
    return false;
  } finally {
    change(mine, { busy: false });
  }
}

/** Sends whoever is at the other end to somebody else, whatever that one says. */
async function transfer(): Promise<void> {
  const mine = running;
  const to = transferTo.value.trim();
  if (!mine || to === '') return;
  clear();
  await hand(mine, to, to);
}

/** @param to a name or number, or a call @param name of whoever gets it */
async function hand(mine: Running, to: string | SoftphoneCall, name: string): Promise<void> {
  const { said } = mine;
  change(mine, { transferring: true, said: `Transferring to ${name}` });
  announcer.say(`Transferring to ${name}`);
  element('hangup').focus();
  try {
    await mine.call.transfer(to, () => change(mine, { said: `Transferring: ${name} rings` }));
    transferTo.value = '';
  } catch (thrown) {
    change(mine, { transferring: false, said });
    fail(thrown);
    if (!transferButton.hidden) transferButton.focus();
  }
}

/** Holds this call, and calls somebody who may want to have it. */
async function askFirst(): Promise<void> {
  const mine = running;
  const to = transferTo.value.trim();
  if (!mine || to === '') return;
  clear();
  if (!mine.held && !(await hold(mine, true))) return;
  // It may have ended meanwhile.
  if (running !== mine) return;
  waiting = mine;
  running = undefined;
  transferTo.value = '';
  await dial(to);
}

/** Who waits and who was asked talk to each other, without us. */
async function complete(): Promise<void> {
  const [first, second] = [waiting, running];
  if (!first || !second) return;
  clear();
  second.transferring = true;
  await hand(first, second.call, second.name);
  if (running === second && !first.transferring) change(second, { transferring: false });
}

/** Who waits is talked to, and the other one waits. */
async function swap(): Promise<void> {
  const [first, second] = [waiting, running];
  if (!first || !second || !(await hold(second, true))) return;
  if (waiting !== first || running !== second) return;
  running = first;
  waiting = second;
  await hold(first, false);
}

async function mute(): Promise<void> {
  const mine = running;
  if (!mine) return;
  mine.call.mute(!mine.muted);
  change(mine, { muted: !mine.muted });
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
muteButton.addEventListener('click', () => void mute());
holdButton.addEventListener('click', () => {
  const mine = running;
  if (mine) void hold(mine, !mine.held);
});
padButton.addEventListener('click', () => open(padButton, !isOpen(padButton)));
transferButton.addEventListener('click', () => {
  open(transferButton, !isOpen(transferButton));
  if (isOpen(transferButton)) transferTo.focus();
});
element('transfer').addEventListener('submit', (submitted) => {
  submitted.preventDefault();
  void transfer();
});
element('transfer').addEventListener('keydown', ({ key }) => {
  if (key !== 'Escape') return;
  open(transferButton, false);
  transferButton.focus();
});
element('ask-first').addEventListener('click', () => void askFirst());
element('complete').addEventListener('click', () => void complete());
element('swap').addEventListener('click', () => void swap());
window.addEventListener('pagehide', () => void phone?.stop());
setInterval(tick, CLOCK_EVERY_MS);

buildKeyPad(element('pad'), (key) => void running?.call.press(key).catch(fail));

const insecure = insecurePage({ isSecure: window.isSecureContext, hasDevices: navigator.mediaDevices !== undefined, host: location.host });
if (insecure) {
  show({ ...insecure, text: `${insecure.text} https://${location.host}/phone` });
  for (const button of registerForm.querySelectorAll('button')) button.disabled = true;
}
setAccount('none', 'Not registered');
