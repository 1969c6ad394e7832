/** Lines that stay: a screen reader has read older ones long ago. */
const MOST_LINES = 8;

/** Tells a screen reader what happens, once each: a live region that nobody sees. */
export class Announcer {
  readonly #region: HTMLElement;

  constructor(region: HTMLElement) {
    this.#region = region;
  }

  say(text: string): void {
    const line = document.createElement('p');
    line.textContent = text;
    this.#region.append(line);
    while (this.#region.childElementCount > MOST_LINES) this.#region.firstElementChild?.remove();
  }
}
