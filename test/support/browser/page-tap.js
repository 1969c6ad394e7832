/*
 * Put into a tab before the gateway's own page loads (test/support/chromium-page.ts, bench/web.mjs): taps the page's connection, what it hears, and
 * when the steps of its set-up happened. The page knows nothing of it. Times are performance.now() milliseconds of the tab.
 */

(() => {
  const RECORDING_RATE_HZ = 16_000;
  const LOUD = 0.01;
  const Connection = window.RTCPeerConnection;

  /** What becomes of descriptions on their way: `[pattern, replacement]` pairs, set by the test. `plain`: the data channel is asked for in-band; `quiet`: the microphone hears nothing. */
  const changes = { offer: [], answer: [], ...window.tapChanges };
  const tap = { connections: [], marks: {}, events: [], clicks: [], changes, event, heard, forget, marked, stats, turns };
  window.tap = tap;
  window.addEventListener('click', ({ target }) => tap.clicks.push({ at: performance.now(), on: target.textContent.trim() }), true);

  if (changes.plain) {
    const { fetch } = window;
    window.fetch = (url, options) => fetch(String(url).replace(/[?]dcid=\d+$/, ''), options);
  }

  if (changes.quiet && navigator.mediaDevices) {
    const devices = navigator.mediaDevices;
    const open = devices.getUserMedia.bind(devices);
    devices.getUserMedia = async (constraints) => {
      const stream = await open(constraints);
      for (const track of stream.getAudioTracks()) track.enabled = false;
      return stream;
    };
  }

  let chunks = [];
  let waiting = [];
  let heardFrom = 0;

  function take(event, isEvent = true) {
    if (isEvent) tap.events.push(event);
    waiting = waiting.filter(({ type, resolve }) => type !== event.type || resolve(event));
  }

  /** The first event of this type from number `from` on; there already, or still to come. */
  function event(type, from) {
    const there = tap.events.slice(from).find((each) => each.type === type);
    return there ?? new Promise((resolve) => waiting.push({ type, resolve }));
  }

  function mark(name) {
    if (tap.marks[name] !== undefined) return;
    tap.marks[name] = performance.now();
    take({ type: `mark ${name}`, at: tap.marks[name] }, false);
  }

  /** When this happened, once it has. */
  async function marked(name) {
    return tap.marks[name] ?? (await new Promise((resolve) => waiting.push({ type: `mark ${name}`, resolve }))).at;
  }

  const changed = (sdp, rules) => rules.reduce((text, [pattern, replacement]) => text.replace(new RegExp(pattern, 'gm'), replacement), sdp);

  window.RTCPeerConnection = class extends Connection {
    constructor(...args) {
      super(...args);
      tap.connections.push(this);
      tap.marks = {};
      this.addEventListener('track', ({ track }) => void listen(track));
      this.addEventListener('iceconnectionstatechange', () => mark(`ice ${this.iceConnectionState}`));
      this.addEventListener('connectionstatechange', () => mark(this.connectionState));
    }

    createDataChannel(label, options) {
      const channel = super.createDataChannel(label, changes.plain ? undefined : options);
      channel.addEventListener('open', () => mark('open'));
      channel.addEventListener('message', ({ data }) => {
        mark('message');
        take({ at: performance.now(), ...JSON.parse(data) });
      });
      return channel;
    }

    async setLocalDescription(...args) {
      mark('described');
      await super.setLocalDescription(...args);
    }

    async setRemoteDescription({ type, sdp }) {
      mark('answer');
      await super.setRemoteDescription({ type, sdp: changed(sdp, changes.answer) });
    }

    get localDescription() {
      const description = super.localDescription;
      if (!description || changes.offer.length === 0) return description;
      return { type: description.type, sdp: changed(description.sdp, changes.offer) };
    }
  };

  /** What the page plays, decoded and out of the jitter buffer. */
  async function listen(track) {
    const reader = new MediaStreamTrackProcessor({ track: track.clone(), maxBufferSize: 500 }).readable.getReader();
    for (;;) {
      const { done, value: data } = await reader.read().catch(() => ({ done: true }));
      if (done) return;
      const samples = new Float32Array(data.numberOfFrames);
      data.copyTo(samples, { planeIndex: 0, format: 'f32-planar' });
      const step = data.sampleRate / RECORDING_RATE_HZ;
      data.close();
      keep(samples, step);
    }
  }

  function keep(samples, step) {
    const chunk = new Int16Array(Math.floor(samples.length / step));
    let loudest = 0;
    for (let n = 0; n < chunk.length; n++) {
      const from = Math.floor(n * step);
      const to = Math.max(from + 1, Math.floor((n + 1) * step));
      let sum = 0;
      for (let k = from; k < to; k++) sum += samples[k];
      const sample = sum / (to - from);
      loudest = Math.max(loudest, Math.abs(sample));
      chunk[n] = Math.max(-32_768, Math.min(32_767, Math.round(sample * 32_768)));
    }
    if (loudest > LOUD) mark('heard');
    if (chunks.length === 0) heardFrom = performance.now() - (chunk.length * 1000) / RECORDING_RATE_HZ;
    chunks.push(chunk);
  }

  /** Since the last forget(), or the newest so many milliseconds, as base64 of signed 16 bit samples. */
  function heard(lastMs = Number.POSITIVE_INFINITY) {
    const all = joined();
    const samples = all.slice(-Math.round(Math.min(all.length, (lastMs * RECORDING_RATE_HZ) / 1000)));
    const startedAt = performance.timeOrigin + heardFrom + ((all.length - samples.length) * 1000) / RECORDING_RATE_HZ;
    const bytes = new Uint8Array(samples.buffer);
    let text = '';
    for (let from = 0; from < bytes.length; from += 8192) text += String.fromCharCode(...bytes.subarray(from, from + 8192));
    return { base64: btoa(text), rateHz: RECORDING_RATE_HZ, startedAt };
  }

  function joined() {
    const samples = new Int16Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
    let at = 0;
    for (const chunk of chunks) {
      samples.set(chunk, at);
      at += chunk.length;
    }
    return samples;
  }

  function forget() {
    chunks = [];
  }

  /** What the transcript shows. */
  function turns() {
    return [...document.querySelectorAll('#transcript > li')].map((row) => ({
      who: row.dataset.who,
      text: row.querySelector('p')?.textContent ?? '',
      latencyMs: row.querySelector('.latency') ? Number.parseInt(row.querySelector('.latency span').textContent, 10) : undefined,
    }));
  }

  async function stats() {
    const connection = tap.connections.at(-1);
    return connection ? [...(await connection.getStats()).values()] : [];
  }
})();
