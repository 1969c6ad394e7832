import type { ServerEvent } from './conversation.ts';

/** The newest that are kept. */
const MOST_EVENTS = 400;

/** Lists events as they come; the JSON of one is made when somebody opens it. */
export class EventView {
  readonly #list: HTMLElement;
  readonly #count: HTMLElement;
  readonly #startedAt = performance.now();
  #seen = 0;

  constructor(list: HTMLElement, count: HTMLElement) {
    this.#list = list;
    this.#count = count;
  }

  add(event: ServerEvent, way: 'in' | 'out'): void {
    this.#seen += 1;
    this.#count.textContent = String(this.#seen);
    const row = document.createElement('li');
    const details = document.createElement('details');
    const summary = document.createElement('summary');
    const time = document.createElement('time');
    time.textContent = `${((performance.now() - this.#startedAt) / 1000).toFixed(2)} s`;
    const arrow = document.createElement('span');
    arrow.className = 'way';
    arrow.textContent = way === 'in' ? '↓' : '↑';
    arrow.setAttribute('role', 'img');
    arrow.setAttribute('aria-label', way === 'in' ? 'received' : 'sent');
    summary.append(time, arrow, event.type);
    details.append(summary);
    details.addEventListener('toggle', () => fill(details, event), { once: true });
    row.append(details);
    this.#list.prepend(row);
    while (this.#list.childElementCount > MOST_EVENTS) this.#list.lastElementChild?.remove();
  }
}

function fill(details: HTMLElement, event: ServerEvent): void {
  const json = document.createElement('pre');
  json.textContent = JSON.stringify(event, undefined, 2);
  details.append(json);
}
