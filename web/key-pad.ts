const KEYS = ['1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '0', '#'];

/** Builds the keys; a keyboard's digits press them too, unless somebody is writing. */
export function buildKeyPad(pad: HTMLElement, press: (key: string) => void): void {
  const buttons = new Map<string, HTMLButtonElement>();
  for (const key of KEYS) {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = key;
    button.setAttribute('aria-label', `Key ${key === '*' ? 'star' : key === '#' ? 'hash' : key}`);
    button.addEventListener('click', () => press(key));
    pad.append(button);
    buttons.set(key, button);
  }
  document.addEventListener('keydown', ({ key, target, ctrlKey, metaKey, altKey }) => {
    if (pad.hidden || ctrlKey || metaKey || altKey || target instanceof HTMLInputElement || target instanceof HTMLSelectElement) return;
    const button = buttons.get(key);
    if (!button) return;
    // So that it is seen, too.
    button.focus();
    press(key);
  });
}
