import { built } from './built.mjs';
import { hasSynthesiser } from './corpus/render.mjs';
import { quantile, short, table } from './figures.mjs';
import { EVENTS, LINES, percent, runCalls, spreadOf } from './turns/barge-in.mjs';
import { CURVE, hearCallers, hearInNoise, judge, NOISE_POLICIES, POLICIES } from './turns/end-of-turn.mjs';
import { resumeAll } from './turns/resume.mjs';
import { measureStalls } from './turns/stalls.mjs';
import { MEASURED_STAGES, measureWire, WIRE_LINES } from './turns/wire.mjs';
import { withYardstick } from './yardstick.mjs';

const { loadVad } = await built('audio/vad.js');

/** Nothing is tuned by what the reporting seeds say: `BENCH_TURNS=tune` runs the others. */
const HALF = process.env.BENCH_TURNS === 'tune' ? 'tune' : 'report';

/** An interruption that has not silenced the agent by then was missed: coughs are, too. */
const MISSED_MS = 2000;

/** `BENCH_PARTS=wire,lines` runs only some. */
const ONLY = process.env.BENCH_PARTS;
const PARTS = { ends: endsOfTurns, noise: inNoise, lines: linesOf, events: eventsOf, resumes: resumesOf, noises: noisesOf, wire, stalls };

/** Turns: when they end, what interrupts, what is told of it. Synthetic speech on a clock of its own: the same seed gives the same figures. */
export async function benchTurns({ quick }) {
  await loadVad();
  const { value: text, yardMs } = await withYardstick(async () => {
    const texts = [];
    for (const [name, part] of Object.entries(PARTS)) if (!ONLY || ONLY.split(',').includes(name)) texts.push(await part(quick));
    return texts.join('\n\n');
  });
  const speech = hasSynthesiser ? 'espeak-ng' : 'shipped clips, no espeak-ng here: figures are not those of the docs';
  return { title: `Turns, ${HALF === 'tune' ? 'tuning' : 'reporting'} seeds, ${speech} (fixed calculation ${short(yardMs)} ms)`, text };
}

function endsOfTurns(quick) {
  const size = { callers: quick ? 12 : 60, turns: quick ? 6 : 12 };
  const clean = hearCallers(HALF, { ...size, snrDb: 30 });
  const noisy = hearCallers(HALF, { ...size, snrDb: 20 });
  const curve = CURVE.map(([name, options]) => ({ name, ...judge(clean, options) }));
  const rows = POLICIES.map(([name, options]) => {
    const at = judge(clean, options);
    const noise = judge(noisy, options);
    const beside = besideCurve(curve, at.p50);
    return [
      name,
      at.cut,
      at.perPause,
      at.audible.map(short).join(' / '),
      `${short(at.p50)} / ${short(at.p95)}`,
      at.missed,
      `${short(at.slowest.cut)} / ${short(at.slowest.p50)}`,
      beside ? `${short(beside.cut)} / ${short(beside.slowest)}` : '–',
      `${short(noise.cut)} / ${short(noise.p50)}`,
    ];
  });
  const header = [
    'end of turn',
    'turns cut %',
    'per pause %',
    'audible at 0/300/600 ms',
    'delay p50 / p95',
    'missed',
    'slowest third: cut / p50',
    'fixed at this p50: cut / slowest third cut',
    'at 20 dB: cut / p50',
  ];
  return table(header, rows);
}

const NOISES = [
  ['street', 15],
  ['street', 10],
  ['street', 5],
  ['white', 15],
  ['white', 10],
  ['white', 5],
  ['babble', 20],
  ['babble', 15],
];

async function inNoise(quick) {
  const rows = [];
  for (const [kind, snrDb] of NOISES) {
    const heard = await hearInNoise(HALF, { callers: quick ? 4 : 24, turns: 6, kind, snrDb });
    const ears = { first: heard.map(({ first }) => first), both: heard.map(({ both }) => both) };
    for (const [name, options] of NOISE_POLICIES) {
      const cells = Object.values(ears).map((callers) => {
        const at = judge(callers, options);
        return [at.cut, `${short(at.p50)} / ${short(at.p95)}`, `${at.missed} of ${heard.length * 6}`];
      });
      rows.push([`${kind} ${snrDb} dB, ${name}`, ...cells[0], ...cells[1]]);
    }
  }
  const of = (who) => [`${who}: cut %`, 'delay p50 / p95 ms', 'ends not found'];
  return table(['behind the caller', ...of('first detector alone'), ...of('with the network')], rows);
}

function resumesOf(quick) {
  if (!hasSynthesiser) return 'Where words begin is known of synthesised speech only: no espeak-ng here, resumes are not measured.';
  const holds = resumeAll(HALF, { holds: quick ? 2 : 12 });
  const share = (test) => percent(holds, test);
  const row = [
    holds.length,
    share(({ repeated }) => repeated === 0),
    share(({ repeated }) => repeated === 1),
    share(({ repeated }) => repeated > 1),
    Math.max(...holds.map(({ repeated }) => repeated)),
    share(({ lost }) => lost > 0),
    share(({ torn }) => torn),
    spreadOf(holds, ({ backMs }) => backMs)
      .map(short)
      .join(' / '),
  ];
  const header = [
    'sentences that go on',
    'no word said again whole %',
    'one %',
    'more %',
    'most',
    'a word lost %',
    'begins in the middle of the word that was cut %',
    'goes back p50 / p95 ms',
  ];
  return table(header, [row]);
}

/** What a fixed wait with this median cuts, between two of the curve. */
function besideCurve(curve, p50) {
  const above = curve.findIndex((each) => each.p50 >= p50);
  if (above <= 0) return undefined;
  const [a, b] = [curve[above - 1], curve[above]];
  const share = (p50 - a.p50) / (b.p50 - a.p50);
  return { cut: a.cut + share * (b.cut - a.cut), slowest: a.slowest.cut + share * (b.slowest.cut - a.slowest.cut) };
}

function linesOf(quick) {
  const calls = quick ? 4 : 20;
  const rows = LINES.map(([name, line]) => {
    const plain = runCalls(HALF, Math.min(calls, 5), { line, event: EVENTS.silent, guard: false });
    const silent = runCalls(HALF, calls, { line, event: EVENTS.silent });
    const talked = runCalls(HALF, calls, { line, event: EVENTS.interruption });
    const cold = silent.filter(({ turn }) => turn === 0);
    const warm = silent.filter(({ turn }) => turn > 0);
    const [p50, p95] = spreadOf(talked, ({ silentMs }) => silentMs);
    return [
      name,
      percent(plain, ({ holds }) => holds > 0),
      percent(cold, ({ holds }) => holds > 0),
      percent(warm, ({ holds }) => holds > 0),
      [talked.filter(({ turn }) => turn === 0), talked.filter(({ turn }) => turn > 0)]
        .map((each) => short(percent(each, ({ committed }) => !committed)))
        .join(' / '),
      `${short(p50)} / ${short(p95)}`,
      Math.max(...talked.map(({ truncateErrorMs }) => truncateErrorMs ?? 0)),
      Math.max(...talked.map(({ fadeStep }) => fadeStep ?? 0)),
    ];
  });
  const header = [
    'line',
    'false holds without guard %',
    'cold %',
    'warm %',
    'missed %, cold / warm',
    'silent after onset p50 / p95 ms',
    'truncation error ms, most',
    'fade step, most',
  ];
  return table(header, rows);
}

function eventsOf(quick) {
  const calls = quick ? 4 : 20;
  const hybrid = { kind: 'hybrid', erlDb: -20, delayMs: 60 };
  const cells = [
    ['interruption', 'interruption', { kind: 'none' }],
    ['interruption in the first half second', 'early', { kind: 'none' }],
    ['backchannel', 'backchannel', { kind: 'none' }],
    ['backchannel, hybrid -20 dB', 'backchannel', hybrid],
    ['backchannel with words', 'spokenBackchannel', { kind: 'none' }],
    ['cough', 'cough', { kind: 'none' }],
    ['one-word command', 'command', { kind: 'none' }],
    ['one-word command with words', 'spokenCommand', { kind: 'none' }],
  ];
  const rows = cells.map(([name, event, line]) => {
    const seen = runCalls(HALF, calls, { line, event: EVENTS[event] });
    const [p50, p95] = spreadOf(seen, ({ silentMs }) => silentMs);
    const [gap50, gap95] = spreadOf(seen, ({ committed, gapMs }) => (committed ? undefined : gapMs));
    const [after50, after95] = spreadOf(seen, ({ committed, resumeMs }) => (committed ? undefined : resumeMs));
    return [
      name,
      percent(seen, ({ silentMs }) => silentMs !== undefined),
      `${short(p50)} / ${short(p95)}`,
      percent(seen, ({ committed }) => committed),
      `${short(gap50)} / ${short(gap95)}`,
      `${short(after50)} / ${short(after95)}`,
    ];
  });
  return table(
    [
      'over the agent',
      'paused %',
      'silent p50 / p95 ms',
      'committed %',
      'agent absent p50 / p95 ms',
      'resumed after the sound ended p50 / p95 ms',
    ],
    rows,
  );
}

function noisesOf(quick) {
  const calls = quick ? 4 : 20;
  const rows = [-45, -50].map((babbleDb) => {
    const silent = runCalls(HALF, calls, { line: { kind: 'none' }, event: EVENTS.silent, babbleDb });
    const talked = runCalls(HALF, calls, { line: { kind: 'none' }, event: EVENTS.interruption, babbleDb });
    const [p50, p95] = spreadOf(talked, ({ silentMs }) => silentMs);
    const cold = silent.filter(({ turn }) => turn === 0);
    const warm = silent.filter(({ turn }) => turn > 0);
    return [
      `${babbleDb} dBov`,
      percent(cold, ({ holds }) => holds > 0),
      percent(warm, ({ holds }) => holds > 0),
      percent(talked, ({ committed }) => !committed),
      `${short(p50)} / ${short(p95)}`,
    ];
  });
  return table(['babble', 'false holds, cold %', 'warm %', 'missed %', 'silent p50 / p95 ms'], rows);
}

/** Whole calls over sockets, in real time: what comes to the phone is all that is looked at. */
async function wire(quick) {
  const acts = await measureWire({ quick, half: HALF });
  const spread = (values, digits = short) => [0.5, 0.95].map((q) => digits(quantile(values, q))).join(' / ');
  const pick = (list, what) => list.map((each) => each[what]).filter((value) => value !== undefined && !Number.isNaN(value));
  const silent = (list) => list.filter(({ silentMs }) => silentMs !== undefined && silentMs < MISSED_MS);
  const rows = WIRE_LINES.map(([name]) => {
    const here = acts.filter(({ line }) => line === name);
    const talked = here.filter(({ kind }) => kind === 'interruption');
    const early = here.filter(({ kind }) => kind === 'early');
    const brief = here.filter(({ kind }) => kind === 'backchannel' || kind === 'cough');
    const rejected = brief.filter(({ committed }) => !committed);
    return [
      name,
      talked.length + early.length,
      spread(pick(silent(talked), 'silentMs')),
      spread(pick(silent(talked), 'wireMs')),
      spread(pick(silent(early), 'silentMs')),
      percent(brief, ({ committed }) => committed),
      spread(
        pick(
          rejected.filter(({ kind }) => kind === 'backchannel'),
          'gapMs',
        ),
      ),
      spread(
        pick(
          rejected.filter(({ kind }) => kind === 'cough'),
          'gapMs',
        ),
      ),
      `${short(Math.min(...pick(rejected, 'words')))} to ${short(Math.max(...pick(rejected, 'words')))}`,
      spread(pick(here, 'truncationErrorMs').map(Math.abs)),
      Math.max(...pick(here, 'fadeStep')),
    ];
  });
  const header = [
    'whole calls over RTP',
    'interruptions',
    'onset at the mouth → last sounding sample at the ear p50 / p95 ms',
    'packet with the onset → last sounding packet',
    'the same, from the mouth, in the first half second of a sentence',
    'uh-huhs and coughs committed %',
    'agent absent after uh-huh p50 / p95 ms',
    'after a cough',
    'words repeated, least to most',
    'truncation error p50 / p95 ms',
    'fade step, most',
  ];
  const ledgers = acts.map(({ ledger }) => ledger).filter(Boolean);
  const stages = MEASURED_STAGES.map((stage) => [
    stage,
    ledgers.length,
    spread(pick(ledgers, stage)),
    spread(pick(ledgers, stage).map(Math.abs)),
  ]);
  return [
    table(header, rows),
    table(['`turn.latency` less what was captured', 'turns', 'p50 / p95 ms', 'either way p50 / p95 ms'], stages),
  ].join('\n\n');
}

/** How often our own echo makes us fall silent when the gateway was stopped for a moment. */
async function stalls(quick) {
  const rows = await measureStalls({ quick });
  return table(
    ['the gateway stands still for ms', 'calls stopped', 'agent held by its own echo %'],
    rows.map(({ stallMs, stopped, held }) => [`${stallMs}`, `${stopped}`, (100 * held) / stopped]),
  );
}
