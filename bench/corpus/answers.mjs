import { built } from '../built.mjs';
import { Random } from './random.mjs';
import { hasSynthesiser, speak } from './render.mjs';
import { VOICES } from './scripts.mjs';

const { PCMU } = await built('audio/g711.js');

/*
 * Who answers a telephone, as sound: people, machines, exchanges, fax machines. Rendered when it is wanted; a seed is a label and a sound. Texts
 * stand in two halves as the seeds do: what was listened to when the rules were made says nothing about how good they are.
 */

const RATE_HZ = 8000;
/** Rows below this seed are for tuning, the others for reporting. */
const FIRST_REPORTING = 1_000_000;

export const LABELS = ['human', 'machine', 'machine without beep', 'network', 'fax', 'silence'];
/** Of a hundred answers: people and machines are what is to be told apart. */
const MIX = [40, 36, 6, 8, 4, 6];

const HUMANS = {
  tune: [
    'Hello?',
    'Hi.',
    'Yes?',
    'Yeah, hello?',
    'Good morning.',
    'Smith.',
    'Hello, who is this?',
    'Hello, this is Anna speaking.',
    'Jones and partners, good morning.',
    'Hello? / Hello?',
    'Baker street dental practice, this is Tom, how can I help you?',
    'Hey, what is up?',
    'Front desk.',
    'Thank you for calling the garden centre, you are speaking to Mary.',
  ],
  report: [
    'Hello.',
    'Hi there.',
    'Yep?',
    'Good afternoon.',
    'Miller.',
    'Hello, Peter here.',
    'Speaking.',
    'Yes, hello, who is calling?',
    'Reception, good afternoon.',
    'Hello? / Is anybody there?',
    'Hi, this is Linda.',
    'Northern insurance, claims department, Susan speaking.',
    'City garage, hello.',
    'Good evening, the Old Mill restaurant, what can I do for you?',
  ],
};

const MACHINES = {
  tune: [
    'Hi, you have reached Bob. | I cannot take your call right now. | Please leave a message after the tone.',
    'This is the voicemail of Anna Smith. | Leave your name and number and I will call you back.',
    'Your call has been forwarded to an automatic voice message system. | The person you are calling is not available. | At the tone, please record your message.',
    'Please leave a message after the beep.',
    'Hello. | We are not at home at the moment, but if you leave your name, your number and a short message, we will get back to you as soon as we can. | Thank you for calling.',
    'You have reached the Baker family. | You know what to do.',
    'The mobile phone you have called is switched off. | Please leave a message.',
    'Hi, it is Jenny, leave me a message.',
  ],
  report: [
    'Hello, this is Mark. | I am either on the phone or away from my desk. | Leave a message and I will return your call.',
    'Sorry I missed you. | Please leave your details after the tone.',
    'You are through to the voice mailbox of Doctor Green. | Our office hours are Monday to Friday from nine to five. | Please speak after the signal.',
    'The person at extension four two one is unavailable. | Record your message at the tone. | When you are finished, hang up or press pound for more options.',
    'Leave a message.',
    'Hey, this is Kate, I cannot get to the phone, you know the drill.',
    'Welcome to the message service. | Nobody is available to take your call. | Please leave your message after the tone and we will ring you back as soon as possible.',
    'Hi! | We are out. | Talk after the beep.',
  ],
};

const NETWORK = {
  tune: ['The number you have dialled is not in service. | Please check the number and dial again.'],
  report: ['We are sorry, your call cannot be completed as dialled. | Please hang up and try again.'],
};

export { hasSynthesiser };

/** n seeds of the tuning or the reporting half. */
export function answerSeeds(half, n) {
  return Array.from({ length: n }, (_, k) => (half === 'report' ? FIRST_REPORTING : 1) + k);
}

/** @returns label, what it sounds like (Int16Array, 8 kHz, through µ-law), and when the greeting and the beep end in ms */
export function answerOf(seed) {
  const random = new Random(seed * 7919);
  const half = seed >= FIRST_REPORTING ? 'report' : 'tune';
  const label = labelOf(random);
  const line = new Line(random);
  let beep;
  if (label === 'human') {
    // p50 0.6 s from the answer to the first word: the receiver is on its way to the ear.
    line.pause(random.around(600, 0.5));
    line.say(random.of(HUMANS[half]), () => random.between(800, 1600));
    line.pause(6000);
  } else if (label.startsWith('machine')) {
    line.pause(random.around(700, 0.5));
    line.say(random.of(MACHINES[half]), () => random.between(250, 650));
    const greetingEndMs = line.ms;
    if (label === 'machine') {
      line.pause(random.around(500, 0.5));
      const startMs = line.ms;
      line.beep();
      beep = { startMs, endMs: line.ms, greetingEndMs };
    }
    line.pause(6000);
  } else if (label === 'network') {
    line.pause(random.between(100, 500));
    line.informationTones();
    line.pause(random.between(100, 400));
    line.say(random.of(NETWORK[half]), () => 400);
    line.pause(2000);
  } else if (label === 'fax') {
    line.pause(random.between(300, 1500));
    line.tone([random.between(2088, 2112)], random.between(2600, 4000));
    line.pause(1000);
  } else line.pause(9000);
  return { label, beep, pcm: line.render() };
}

function labelOf(random) {
  let at = random.between(0, 100);
  for (const [n, share] of MIX.entries()) {
    at -= share;
    if (at < 0) return LABELS[n];
  }
  return LABELS[0];
}

/** A telephone line that fills up: pieces of sound, then noise over all of it and µ-law. */
class Line {
  #random;
  #pieces = [];
  #length = 0;
  #levelDb;
  #voice;

  constructor(random) {
    this.#random = random;
    this.#levelDb = random.between(-32, -18);
    this.#voice = random.of(VOICES);
  }

  get ms() {
    return (this.#length * 1000) / RATE_HZ;
  }

  pause(ms) {
    this.#add(new Float64Array(Math.round((ms * RATE_HZ) / 1000)));
  }

  /** Segments stand between / or |. */
  say(text, pauseMs) {
    for (const [n, part] of text.split(/ [/|] /).entries()) {
      if (n > 0) this.pause(pauseMs());
      const gain = 10 ** (this.#levelDb / 20);
      this.#add(speak(part, this.#voice).map((x) => x * gain));
    }
  }

  /** 80 ms to 1 s, 350 to 2500 Hz, some of two frequencies; the usual ones are the most frequent. */
  beep() {
    const random = this.#random;
    const kind = random.next();
    const ms = kind < 0.15 ? random.between(90, 160) : random.between(180, 1000);
    const hz = kind < 0.6 ? random.of([1000, 1400, 440, 880, 850, 950, 2000]) : random.between(360, 2480);
    this.tone(kind > 0.92 ? [hz, hz * random.between(1.2, 1.6)] : [hz], ms);
  }

  tone(frequencies, ms) {
    const random = this.#random;
    const amplitude = (Math.SQRT2 * 10 ** (random.between(-30, -12) / 20)) / frequencies.length;
    const length = Math.round((ms * RATE_HZ) / 1000);
    const edge = RATE_HZ * 0.004;
    this.#add(
      Float64Array.from({ length }, (_, n) => {
        const envelope = Math.min(1, n / edge, (length - n) / edge);
        return envelope * amplitude * frequencies.reduce((sum, hz) => sum + Math.sin((2 * Math.PI * hz * n) / RATE_HZ), 0);
      }),
    );
  }

  informationTones() {
    const random = this.#random;
    const american = random.next() < 0.5;
    const tones = american ? [random.of([913.8, 985.2]), random.of([1370.6, 1428.5]), 1776.7] : [950, 1400, 1800];
    for (const hz of tones) {
      this.tone([hz], american ? random.of([276, 380]) : 330);
      if (!american) this.pause(random.between(0, 30));
    }
  }

  #add(piece) {
    this.#pieces.push(piece);
    this.#length += piece.length;
  }

  /** Noise of -65 to -38 dBov: a quiet line to a street. */
  render() {
    const random = this.#random;
    const noise = 10 ** ((random.next() < 0.7 ? random.between(-65, -52) : random.between(-52, -38)) / 20);
    const out = new Int16Array(this.#length);
    let at = 0;
    for (const piece of this.#pieces) {
      for (const x of piece) {
        out[at] = Math.max(-32768, Math.min(32767, Math.round(32768 * (x + noise * random.normal()))));
        at += 1;
      }
    }
    const code = new Uint8Array(out.length);
    PCMU.encode(out, code);
    PCMU.decode(code, out);
    return out;
  }
}
