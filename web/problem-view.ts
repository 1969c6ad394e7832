import { element } from './element.ts';
import type { Failure } from './failures.ts';

export interface ProblemActions {
  /** Go on without a microphone. */
  readonly listen: () => void;
  readonly useKey: (key: string) => void;
}

/** The one thing that is wrong now, and what can be done about it. */
export class ProblemView {
  readonly #actions: ProblemActions;
  readonly #box = element('problem');
  readonly #keyForm = element<HTMLFormElement>('key-form');
  readonly #key = element<HTMLInputElement>('key');

  constructor(actions: ProblemActions) {
    this.#actions = actions;
    this.#keyForm.addEventListener('submit', (submitted) => {
      submitted.preventDefault();
      const key = this.#key.value.trim();
      if (key !== '') actions.useKey(key);
    });
  }

  show(failure: Failure): void {
    const { title, text, action } = failure;
    element('problem-title').textContent = title;
    element('problem-text').textContent = text;
    this.#keyForm.hidden = action?.type !== 'key';
    const place = element('problem-action');
    place.replaceChildren();
    if (action?.type === 'link') place.append(link(action));
    if (action?.type === 'listen') place.append(button(action.label, this.#actions.listen));
    place.hidden = place.childElementCount === 0;
    this.#box.hidden = false;
    if (action?.type === 'key') this.#key.focus();
  }

  clear(): void {
    this.#box.hidden = true;
  }
}

function link({ href, label }: { readonly href: string; readonly label: string }): HTMLElement {
  const made = document.createElement('a');
  made.href = href;
  made.textContent = label;
  return made;
}

function button(label: string, press: () => void): HTMLElement {
  const made = document.createElement('button');
  made.type = 'button';
  made.textContent = label;
  made.addEventListener('click', press);
  return made;
}
