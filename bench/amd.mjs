import { built } from './built.mjs';
import { answerOf, answerSeeds, hasSynthesiser, LABELS } from './corpus/answers.mjs';
import { short, spread, table } from './figures.mjs';
import { withYardstick } from './yardstick.mjs';

const { loadVad } = await built('audio/vad.js');
const { AnsweringMachine } = await built('realtime/answering-machine.js');

/** Nothing is tuned by what the reporting seeds say: `BENCH_AMD=tune` runs the others. */
const HALF = process.env.BENCH_AMD === 'tune' ? 'tune' : 'report';

/** In the order of the columns. A short greeting may be over when the beep says what it was. */
const VERDICTS = ['human', 'machine_greeting', 'machine_beep', 'network', 'fax', 'silence', 'unsure'];
const RIGHT = {
  human: ['human'],
  machine: ['machine_greeting', 'machine_beep'],
  'machine without beep': ['machine_greeting'],
  network: ['network'],
  fax: ['fax'],
  silence: ['silence'],
};

/** Who answered: what was found out, and how soon. Synthetic speech on a clock of its own: the same seed gives the same figures. */
export async function benchAmd({ quick }) {
  await loadVad();
  const { value: text, yardMs } = await withYardstick(async () => report(answerSeeds(HALF, quick ? 100 : 1000).map(judge)));
  const speech = hasSynthesiser ? 'espeak-ng' : 'shipped clips, no espeak-ng here: figures are not those of the docs';
  return {
    title: `Who answered, ${HALF === 'tune' ? 'tuning' : 'reporting'} seeds, ${speech} (fixed calculation ${short(yardMs)} ms)`,
    text,
  };
}

/** One answer, heard to its end or until nothing more can be found out. */
function judge(seed) {
  const { label, beep, pcm } = answerOf(seed);
  const machine = new AnsweringMachine();
  const found = [];
  const began = process.hrtime.bigint();
  let frames = 0;
  for (let at = 0; at + 160 <= pcm.length && !machine.isDone; at += 160) {
    const answered = machine.hear(pcm.subarray(at, at + 160));
    if (answered) found.push(answered);
    frames += 1;
  }
  const tookUs = Number(process.hrtime.bigint() - began) / 1000;
  machine.free();
  return { seed, label, beep, first: found[0], last: found.at(-1), usAFrame: tookUs / frames };
}

function report(all) {
  const rows = LABELS.map((label) => {
    const of = all.filter((each) => each.label === label);
    const counts = VERDICTS.map((verdict) => of.filter(({ first }) => first?.by === verdict).length);
    const right = of.filter(({ first }) => RIGHT[label].includes(first?.by)).length;
    const times = of.flatMap(({ first }) => (first ? [first.atMs] : []));
    return [label, String(of.length), ...counts.map(String), `${short((100 * right) / of.length)} %`, spread(times)];
  });
  const verdicts = table(['who', 'calls', ...VERDICTS, 'right', 'verdict after p50 / p95 ms'], rows);
  return [verdicts, beeps(all), `${short(all.reduce((sum, { usAFrame }) => sum + usAFrame, 0) / all.length)} µs a frame`].join('\n\n');
}

function beeps(all) {
  const beeping = all.filter(({ beep }) => beep);
  // A machine that was taken for a person is waited for no longer.
  const waited = beeping.filter(({ first }) => first?.by.startsWith('machine'));
  const heard = waited.filter(({ beep, last }) => last.by === 'machine_beep' && last.atMs >= beep.startMs);
  const early = waited.filter(({ beep, last }) => last.by === 'machine_beep' && last.atMs < beep.startMs);
  const gaveUp = waited.filter(({ last }) => last.greetingOver);
  const elsewhere = all.filter(({ beep, last }) => !beep && last?.by === 'machine_beep');
  const late = heard.map(({ beep, last }) => last.atMs - beep.endMs);
  const counts = [beeping, waited, heard, early, gaveUp, elsewhere].map((list) => String(list.length));
  const header = [
    'beeps there',
    'awaited',
    'heard',
    'too early',
    'given up',
    'heard where there was none',
    'told after its end p50 / p95 ms',
  ];
  return table(header, [[...counts, spread(late)]]);
}
