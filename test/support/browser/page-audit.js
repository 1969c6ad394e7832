/* What a page is asked for the sake of people who see little or use no mouse: run in the tab, gives lists of what is wrong. */

(() => {
  const isShown = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true });

  function channels(color) {
    const [r, g, b, a = 1] = color.match(/[\d.]+/g).map(Number);
    return { r, g, b, a };
  }

  /** What is behind the text of an element: opaque colours of its ancestors. */
  function backOf(element) {
    for (let at = element; at; at = at.parentElement) {
      const back = channels(getComputedStyle(at).backgroundColor);
      if (back.a === 1) return back;
    }
    return { r: 255, g: 255, b: 255 };
  }

  /** WCAG 2.2, relative luminance. */
  function luminance({ r, g, b }) {
    const [red, green, blue] = [r, g, b].map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  }

  function contrast(one, other) {
    const [less, more] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (more + 0.05) / (less + 0.05);
  }

  /** Texts with less than 4.5 to 1 between them and what is behind them. Disabled controls are not meant to be read. */
  function faint() {
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement;
      const text = walker.currentNode.data.trim();
      if (text === '' || !isShown(element) || element.closest(':disabled, .visually-hidden, audio')) continue;
      const ratio = contrast(channels(getComputedStyle(element).color), backOf(element));
      if (ratio < 4.5) found.push(`${text}: ${ratio.toFixed(2)}`);
    }
    for (const field of document.querySelectorAll('input:enabled')) {
      if (!isShown(field)) continue;
      const ratio = contrast(channels(getComputedStyle(field, '::placeholder').color), backOf(field));
      if (field.placeholder && ratio < 4.5) found.push(`${field.placeholder}: ${ratio.toFixed(2)}`);
    }
    return found;
  }

  function nameOf(element) {
    const labelled = element.getAttribute('aria-labelledby');
    const label = element.getAttribute('aria-label') ?? (labelled ? document.getElementById(labelled)?.textContent : undefined);
    const own = element.labels?.[0]?.textContent ?? element.textContent ?? '';
    return (label ?? own).trim().replace(/\s+/g, ' ');
  }

  /** Controls without a name, controls that are too small for a finger, ids that stand there twice, pictures without a text. */
  function faults() {
    const controls = [...document.querySelectorAll('button, input, select, summary, meter, a[href], [tabindex="0"], [role="timer"]')];
    const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
    const small = controls.filter((each) => {
      const { width, height } = each.getBoundingClientRect();
      return each.matches('button, input, select') && isShown(each) && (width < 24 || height < 24);
    });
    return [
      ...controls.filter((each) => nameOf(each) === '').map(({ outerHTML }) => `no name: ${outerHTML.slice(0, 80)}`),
      ...small.map((each) => `too small: ${nameOf(each)}`),
      ...ids.filter((id, n) => ids.indexOf(id) !== n).map((id) => `twice: ${id}`),
      ...[...document.images].filter((image) => !image.hasAttribute('alt')).map(({ src }) => `no text: ${src}`),
      ...(document.documentElement.lang === '' ? ['no language'] : []),
      ...(document.documentElement.scrollWidth > innerWidth ? [`wider than the screen: ${document.documentElement.scrollWidth}`] : []),
    ];
  }

  window.audit = { faint, faults, focused: () => nameOf(document.activeElement) };
})();
