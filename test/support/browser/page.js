/*
 * What runs in the tab of a BrowserPeer (test/support/chromium.ts): one RTCPeerConnection, one voice, one pair of ears.
 * Audio crosses to the test as base64 of signed 16 bit samples; all analysis happens there.
 */

const RECORDING_RATE_HZ = 16_000;

// Copies what it hears, 100 ms at a time.
const RECORDER = `
registerProcessor('recorder', class extends AudioWorkletProcessor {
  #chunk = new Int16Array(1600);
  #filled = 0;
  process([[input]]) {
    if (!input) return true;
    for (const sample of input) {
      this.#chunk[this.#filled++] = Math.max(-32768, Math.min(32767, Math.round(sample * 32768)));
      if (this.#filled === this.#chunk.length) {
        this.port.postMessage(this.#chunk.slice());
        this.#filled = 0;
      }
    }
    return true;
  }
});
`;

function toBase64(samples) {
  const bytes = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
  let text = '';
  for (let from = 0; from < bytes.length; from += 8192) text += String.fromCharCode(...bytes.subarray(from, from + 8192));
  return btoa(text);
}

function fromBase64(text) {
  const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  return new Int16Array(bytes.buffer);
}

function tell(event) {
  window.report({ at: performance.timeOrigin + performance.now(), ...event });
}

class Peer {
  #connection;
  #channel;
  #mouth;
  #mouthInput;
  #oscillator;
  #ears;
  #chunks = [];
  #heardFrom = 0;

  async open({ source, channel, configuration }) {
    this.#connection = new RTCPeerConnection(configuration);
    this.#connection.onconnectionstatechange = () => tell({ type: 'state', state: this.#connection.connectionState });
    this.#connection.ontrack = ({ track, streams }) => {
      tell({ type: 'track' });
      void this.#listen(streams[0] ?? new MediaStream([track]));
    };
    this.#connection.ondatachannel = (event) => this.#useChannel(event.channel);
    if (channel) this.#useChannel(this.#connection.createDataChannel(channel.label, channel.options));
    if (source === 'none') {
      this.#connection.addTransceiver('audio', { direction: 'recvonly' });
      return;
    }
    const stream = source === 'microphone' ? await this.#microphone() : this.#voice();
    for (const track of stream.getAudioTracks()) this.#connection.addTrack(track, stream);
  }

  #microphone() {
    const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    return navigator.mediaDevices.getUserMedia({ audio });
  }

  /** A voice made here: silence until `tone` or `say`. */
  #voice() {
    this.#mouth = new AudioContext({ sampleRate: 48_000 });
    const output = this.#mouth.createMediaStreamDestination();
    output.channelCount = 1;
    this.#mouthInput = this.#mouth.createGain();
    this.#mouthInput.connect(output);
    return output.stream;
  }

  tone(freqHz, amplitude) {
    this.#oscillator?.stop();
    this.#oscillator = undefined;
    if (!freqHz) return;
    const level = this.#mouth.createGain();
    level.gain.value = amplitude;
    level.connect(this.#mouthInput);
    this.#oscillator = this.#mouth.createOscillator();
    this.#oscillator.frequency.value = freqHz;
    this.#oscillator.connect(level);
    this.#oscillator.start();
  }

  /** Plays samples; resolves at their end with when they began. */
  say(base64, rateHz) {
    const samples = fromBase64(base64);
    const buffer = this.#mouth.createBuffer(1, samples.length, rateHz);
    buffer.getChannelData(0).set(Float32Array.from(samples, (sample) => sample / 32768));
    const node = this.#mouth.createBufferSource();
    node.buffer = buffer;
    node.connect(this.#mouthInput);
    return new Promise((resolve) => {
      const startedAt = performance.timeOrigin + performance.now();
      node.onended = () => resolve(startedAt);
      node.start();
    });
  }

  async #listen(stream) {
    // Chromium decodes a remote track only for someone who plays it.
    const element = new Audio();
    element.muted = true;
    element.srcObject = stream;
    void element.play();
    this.#ears = new AudioContext({ sampleRate: RECORDING_RATE_HZ });
    await this.#ears.audioWorklet.addModule(URL.createObjectURL(new Blob([RECORDER], { type: 'text/javascript' })));
    const recorder = new AudioWorkletNode(this.#ears, 'recorder', { numberOfOutputs: 0 });
    recorder.port.onmessage = ({ data }) => {
      if (this.#chunks.length === 0)
        this.#heardFrom = performance.timeOrigin + performance.now() - (data.length * 1000) / RECORDING_RATE_HZ;
      this.#chunks.push(data);
    };
    this.#ears.createMediaStreamSource(stream).connect(recorder);
    tell({ type: 'listening' });
  }

  heard() {
    const samples = new Int16Array(this.#chunks.reduce((sum, chunk) => sum + chunk.length, 0));
    let at = 0;
    for (const chunk of this.#chunks) {
      samples.set(chunk, at);
      at += chunk.length;
    }
    return { base64: toBase64(samples), rateHz: RECORDING_RATE_HZ, startedAt: this.#heardFrom };
  }

  forget() {
    this.#chunks = [];
  }

  #useChannel(channel) {
    this.#channel = channel;
    channel.onopen = () => tell({ type: 'channel', state: 'open', label: channel.label });
    channel.onclose = () => tell({ type: 'channel', state: 'closed', label: channel.label });
    channel.onmessage = ({ data }) => tell({ type: 'message', text: typeof data === 'string' ? data : '' });
    if (channel.readyState === 'open') channel.onopen();
  }

  send(text) {
    this.#channel.send(text);
  }

  /** Presses keys, 100 ms each; resolves when the last one is sent. */
  dtmf(keys) {
    const sender = this.#connection.getSenders().find((each) => each.dtmf)?.dtmf;
    if (!sender?.canInsertDTMF) throw new Error('this connection cannot send keys');
    return new Promise((resolve) => {
      sender.ontonechange = ({ tone }) => {
        if (tone === '') resolve();
      };
      sender.insertDTMF(keys, 100, 70);
    });
  }

  async offer(options) {
    return this.#describe(await this.#connection.createOffer(options));
  }

  async answer(sdp) {
    await this.#connection.setRemoteDescription({ type: 'offer', sdp });
    return this.#describe(await this.#connection.createAnswer());
  }

  async accept(sdp) {
    await this.#connection.setRemoteDescription({ type: 'answer', sdp });
  }

  /** With all candidates: nobody here trickles. */
  async #describe(description) {
    tell({ type: 'described' });
    const gathered = new Promise((resolve) => {
      this.#connection.addEventListener('icegatheringstatechange', () => {
        if (this.#connection.iceGatheringState === 'complete') resolve();
      });
    });
    await this.#connection.setLocalDescription(description);
    if (this.#connection.iceGatheringState !== 'complete') await gathered;
    return this.#connection.localDescription.sdp;
  }

  async stats() {
    return [...(await this.#connection.getStats()).values()];
  }

  close() {
    this.#connection.close();
    void this.#mouth?.close();
    void this.#ears?.close();
  }
}

window.peer = new Peer();
