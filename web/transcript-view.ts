import type { Turn } from './conversation.ts';
import type { TurnStage } from './turn-latency.ts';

/** The bar is full at this many milliseconds: people wait no longer without wondering. */
const FULL_BAR_MS = 2000;

/** Shows turns in a list, touching only what has changed. */
export class TranscriptView {
  readonly #list: HTMLElement;
  readonly #shown = new Map<string, { readonly turn: Turn; readonly row: HTMLElement }>();

  constructor(list: HTMLElement) {
    this.#list = list;
  }

  show(turns: readonly Turn[]): void {
    const atEnd = this.#list.scrollTop + this.#list.clientHeight >= this.#list.scrollHeight - 40;
    const kept = new Set(turns.map(({ id }) => id));
    for (const [id, { row }] of this.#shown) {
      if (kept.has(id)) continue;
      row.remove();
      this.#shown.delete(id);
    }
    for (const turn of turns) this.#put(turn);
    if (atEnd) this.#list.scrollTop = this.#list.scrollHeight;
  }

  #put(turn: Turn): void {
    const before = this.#shown.get(turn.id);
    if (before?.turn === turn) return;
    const row = before?.row ?? this.#list.appendChild(document.createElement('li'));
    this.#shown.set(turn.id, { turn, row });
    row.className = 'turn';
    row.dataset['who'] = turn.who;
    row.replaceChildren(
      words(turn),
      ...(turn.latency ? [latencyBar(turn.latency)] : []),
      ...(turn.stages?.length ? [stagesBar(turn.stages)] : []),
    );
  }
}

function words(turn: Turn): HTMLElement {
  const { who, text, unwritten } = turn;
  const line = document.createElement('p');
  if (who !== 'note') line.append(label(who));
  if (unwritten || text === '') {
    const unsaid = document.createElement('span');
    unsaid.className = 'unsaid';
    unsaid.textContent = soundOf(turn);
    line.append(unsaid);
  } else {
    line.append(`${text}${breakOf(turn)}`);
  }
  return line;
}

/** Words that nobody wrote down. */
function soundOf(turn: Turn): string {
  if (!turn.over) return 'speaks …';
  if (turn.interrupted) return `spoke${breakOf(turn)}`;
  return turn.spokenMs === undefined ? 'spoke' : `spoke ${inSeconds(turn.spokenMs)}`;
}

/** The words are all that was to be said; so much of it was heard. */
function breakOf({ interrupted, spokenMs }: Turn): string {
  if (!interrupted) return '';
  return spokenMs === undefined ? ' — interrupted' : ` — interrupted after ${inSeconds(spokenMs)}`;
}

function inSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

/** What a screen reader is told of a turn that is over. */
export function spokenForm(turn: Turn): string {
  const name = turn.who === 'note' ? '' : turn.who === 'caller' ? 'You: ' : 'Agent: ';
  return `${name}${turn.unwritten || turn.text === '' ? soundOf(turn) : `${turn.text}${breakOf(turn)}`}`;
}

function label(who: 'caller' | 'agent'): HTMLElement {
  const name = document.createElement('span');
  name.className = 'visually-hidden';
  name.textContent = who === 'caller' ? 'You: ' : 'Agent: ';
  return name;
}

function latencyBar({ decidingMs, answeringMs }: NonNullable<Turn['latency']>): HTMLElement {
  const [deciding, answering] = [Math.round(decidingMs), Math.round(answeringMs)];
  const row = document.createElement('div');
  row.className = 'latency';
  row.title = `${deciding} ms until the turn was taken for over, ${answering} ms until the first sound`;
  const bar = document.createElement('div');
  bar.className = 'bar';
  bar.setAttribute('role', 'img');
  bar.setAttribute('aria-label', row.title);
  bar.append(piece('deciding', decidingMs), piece('answering', answeringMs));
  const figure = document.createElement('span');
  figure.textContent = `${deciding + answering} ms`;
  row.append(bar, figure);
  return row;
}

/** Where the time went, as the gateway has it: a bar, and the same in figures. */
function stagesBar(stages: readonly TurnStage[]): HTMLElement {
  const row = document.createElement('div');
  row.className = 'stages';
  const bar = document.createElement('div');
  bar.className = 'bar';
  bar.append(...stages.map(({ name, ms }) => piece(name, ms)));
  const figures = document.createElement('ul');
  figures.setAttribute('aria-label', 'In the gateway');
  for (const { name, text, ms } of stages) {
    const figure = document.createElement('li');
    figure.dataset['stage'] = name;
    figure.textContent = `${text} ${Math.round(ms)} ms`;
    figures.append(figure);
  }
  row.append(bar, figures);
  return row;
}

function piece(name: string, ms: number): HTMLElement {
  const part = document.createElement('div');
  part.className = name;
  part.style.setProperty('width', `${Math.min(100, (100 * ms) / FULL_BAR_MS)}%`);
  return part;
}
