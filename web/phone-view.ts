import { element } from './element.ts';

/** What is seen of a call. */
export interface ShownCall {
  readonly name: string;
  readonly state: 'incoming' | 'ringing' | 'live';
  /** How it stands, in words. */
  readonly said: string;
  readonly muted: boolean;
  readonly held: boolean;
  /** Somebody is asked to answer a key or a button. */
  readonly busy: boolean;
  /** It is on its way to somebody else. */
  readonly transferring: boolean;
}

const muteButton = element<HTMLButtonElement>('mute');
const holdButton = element<HTMLButtonElement>('hold');
const padButton = element<HTMLButtonElement>('pad-toggle');
const transferButton = element<HTMLButtonElement>('transfer-toggle');

/** Shows or hides what a button opens. */
export function open(button: HTMLButtonElement, isOpen: boolean): void {
  button.setAttribute('aria-expanded', String(isOpen));
  element(button.getAttribute('aria-controls') ?? '').hidden = !isOpen;
}

export function isOpen(button: HTMLButtonElement): boolean {
  return button.getAttribute('aria-expanded') === 'true';
}

/** Shows the call that is talked in, and the one that waits. */
export function showCalls(call: ShownCall | undefined, waiting: ShownCall | undefined): void {
  const { dataset } = document.body;
  dataset['call'] = call?.state ?? 'none';
  dataset['waiting'] = waiting ? 'yes' : 'no';
  element('dialler').hidden = dataset['account'] !== 'registered' || call !== undefined;
  element('incoming').hidden = call?.state !== 'incoming';
  element('call').hidden = call === undefined || call.state === 'incoming';
  showWaiting(call, waiting);
  element('status').textContent = call?.said ?? '';
  if (call) {
    element('incoming-title').textContent = `${call.name} calls`;
    element('call-title').textContent = call.name;
  }
  const usable = call?.state === 'live' && !call.busy && !call.transferring;
  for (const control of [muteButton, holdButton, padButton, transferButton]) control.disabled = !usable;
  muteButton.setAttribute('aria-pressed', String(call?.muted ?? false));
  holdButton.setAttribute('aria-pressed', String(call?.held ?? false));
  if (call?.state !== 'live' || call.transferring) open(padButton, false);
  if (call?.state !== 'live' || call.transferring || waiting) open(transferButton, false);
}

/** With a second call there is nobody to be asked any more: the two are put together, or not. */
function showWaiting(call: ShownCall | undefined, waiting: ShownCall | undefined): void {
  element('waiting').hidden = !waiting;
  element('two-calls').hidden = !waiting;
  transferButton.hidden = waiting !== undefined;
  if (!waiting || !call) return;
  element('waiting').textContent = `${waiting.name} is on hold`;
  element('complete').textContent = `Connect ${waiting.name} with ${call.name}`;
  element('swap').textContent = `Back to ${waiting.name}`;
  const busy = call.busy || waiting.busy || call.transferring || waiting.transferring;
  element<HTMLButtonElement>('complete').disabled = busy;
  element<HTMLButtonElement>('swap').disabled = busy || call.state !== 'live';
}
