// Writes docs/conformance.md from test/conformance/rows.yaml: RFC by RFC what is asked, whether it is done, and the test that shows it. A row that names a test
// that is not there ends it with 1, so no row can outlive its test. With --print the page goes to stdout and nothing is written; another file of rows may be named.
//
// The rule of names: `unit/sip/tcp: gets a pong for its ping` is the file test/unit/sip/tcp.test.ts and the title of an it() or test() in it, as it stands in
// the source, placeholders of each() included. `title > case` also names one row of a table of cases: a string that stands whole in the same file.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { parse } from 'yaml';

const LEVELS = ['must', 'should'];
const STATES = ['yes', 'partly', 'no', 'not ours'];
const DRACHTIO = { same: 'same code', shown: 'yes, tested', server: "server's", none: 'no' };
const KEYS = ['at', 'what', 'level', 'state', 'why', 'drachtio', 'tests'];
/** The tests that run over drachtio as well, or only over it. */
const OVER_DRACHTIO = ['scenario/sip-engines: ', 'scenario/sip-engines-depth: ', 'scenario/sip-engines-users: ', 'scenario/drachtio: '];

/** Programs of others that the tests run, and what each shows. */
const PEERS = [
  [
    'sipp',
    'calls, offers late, holds, overlaps, cancels, times its session, registers, shows passwords; scenarios of our own in `test/support/sipp`',
    ['sipp', 'sipp-depth', 'sipp-users', 'digest'],
  ],
  [
    'sipsak',
    'OPTIONS. Its registration is not used: version 0.9.8 signs a user name with an `@` at its end, and cuts off ports',
    ['sipp-users'],
  ],
  [
    'Linphone (linphonec)',
    'registers, calls the agent in Opus; it has no sound card, so it speaks from a file and records what it hears',
    ['sipp-users'],
  ],
  [
    'baresip',
    'audio both ways in all codecs, hold, keys, TLS, SDES, DTLS, ICE, transfers both ways, registration',
    ['baresip', 'baresip-g722', 'baresip-secure', 'baresip-tls', 'baresip-transfer', 'registrar'],
  ],
  ['sipvicious', 'svwar and svcrack as attackers: they find nobody, and are banned', ['scanners']],
  [
    'Kamailio',
    'as proxy before us with Record-Route, UDP to TCP and back, and over mutual TLS; as registrar of a trunk',
    ['kamailio', 'kamailio-tls', 'registrar'],
  ],
];

const root = new URL('..', import.meta.url);
const faults = [];
const files = new Map();
const rowsFile = process.argv.slice(2).find((word) => word.endsWith('.yaml')) ?? 'test/conformance/rows.yaml';
const groups = parse(readFileSync(new URL(rowsFile, root), 'utf8')).map((group) => ({
  ...group,
  rows: group.rows.map((row) => ({ level: 'must', state: 'yes', drachtio: 'same', group: group.rfc, ...row })),
}));
const rows = groups.flatMap((group) => group.rows);
for (const row of rows) check(row);

if (faults.length > 0) {
  process.stderr.write(`${faults.join('\n')}\n`);
  process.exitCode = 1;
} else if (process.argv.includes('--print')) process.stdout.write(page());
else writeFileSync(new URL('docs/conformance.md', root), page());

function check(row) {
  const fault = (text) => faults.push(`RFC ${row.group} ${row.at}, "${row.what}": ${text}`);
  for (const key of Object.keys(row)) if (key !== 'group' && !KEYS.includes(key)) fault(`${key} is none of ${KEYS.join(', ')}`);
  if (!LEVELS.includes(row.level)) fault(`level ${row.level} is none of ${LEVELS.join(', ')}`);
  if (!STATES.includes(row.state)) fault(`state ${row.state} is none of ${STATES.join(', ')}`);
  if (!(row.drachtio in DRACHTIO)) fault(`drachtio ${row.drachtio} is none of ${Object.keys(DRACHTIO).join(', ')}`);
  if (row.state !== 'yes' && !row.why) fault('why is missing');
  for (const test of row.tests) if (!isThere(test)) fault(`there is no test "${test}"`);
  const isShown = row.tests.some((test) => OVER_DRACHTIO.some((begin) => test.startsWith(begin)));
  if (isShown !== (row.drachtio === 'shown'))
    fault(`drachtio is ${row.drachtio}, but its tests ${isShown ? 'do' : 'do not'} run over drachtio`);
}

function split(test) {
  const at = test.indexOf(': ');
  const [title, example] = test.slice(at + 2).split(' > ');
  return { path: `test/${test.slice(0, at)}.test.ts`, title, example };
}

function isThere(test) {
  const { path, title, example } = split(test);
  const { titles, strings } = read(path);
  return titles.has(title) && (example === undefined || strings.has(example));
}

/** The titles of the tests in a file, and all its strings. */
function read(path) {
  const known = files.get(path);
  if (known) return known;
  const titles = new Set();
  const strings = new Set();
  const url = new URL(path, root);
  const source = existsSync(url) ? readFileSync(url, 'utf8') : '';
  for (const [, , text] of source.matchAll(/(['"`])((?:\\.|(?!\1)[^\n\\])*)\1/g)) strings.add(unescaped(text));
  // The first argument of it(), test(), or of what their each() and skipIf() give.
  for (const match of source.matchAll(/(?:\b(?:it|test)(?:\.concurrent)?|\))\(\s*(['"`])((?:\\.|(?!\1)[^\n\\])*)\1,/g)) {
    const words = source.slice(0, match.index + 4).match(/^ *(?:it|test|describe|describePeer)\b/gm);
    if (/^ *(?:it|test)$/.test(words?.at(-1) ?? '')) titles.add(unescaped(match[2]));
  }
  const found = { titles, strings };
  files.set(path, found);
  return found;
}

function unescaped(text) {
  return text.replaceAll(/\\(['"`\\])/g, '$1');
}

function page() {
  const lines = [
    '# Conformance',
    '',
    '<!-- Written by `npm run conformance` from test/conformance/rows.yaml; a test keeps it current. -->',
    '',
    'What RFCs ask of the telephone side, and the test that shows it. It is about signalling, session descriptions and media of phones and trunks; browsers have [a page of their own](webrtc.md).',
    '',
    '* **Level**: how much trunks, PBXs and softphones miss it; not the word of the RFC.',
    '* **Own sockets**: `yes`, `partly`, `no`, or `not ours` where it is the task of somebody else.',
    "* **drachtio**, where SIP's sockets are those of a [drachtio server](drachtio.md): `yes, tested` (the test named also runs through its wire protocol), `same code` (what does it does not know whose the sockets are; it has no test over drachtio), `server's` (drachtio-server does it, and is not tested here), `no`.",
    '* **Tests** are files below `test/` and the title of the test, after `›` one of its cases. `unit` tests run on a clock of the test, `scenario` over real sockets, `interop` against other programs, `attack` against bad input.',
    '',
    ...summary(),
    ...untested(),
  ];
  for (const { rfc, title, rows: own } of groups) {
    lines.push('', `## ${rfc === '–' ? title : `RFC ${rfc}: ${title}`}`, '');
    lines.push('| section | asked | level | own sockets | drachtio | tests |', '|---|---|---|---|---|---|', ...own.map(line));
  }
  lines.push('', '## Other programs', '', '| program | what it does | tests |', '|---|---|---|');
  for (const [program, does, names] of PEERS) lines.push(`| ${program} | ${does} | ${names.map(peerTest).join(', ')} |`);
  return `${lines.join('\n')}\n`;
}

function summary() {
  const count = (level, state) => String(rows.filter((row) => row.level === level && row.state === state).length);
  const byLevel = LEVELS.map((level) => `| ${[level, ...STATES.map((state) => count(level, state))].join(' | ')} |`);
  const over = Object.entries(DRACHTIO).map(([key, words]) => `${rows.filter(({ drachtio }) => drachtio === key).length} ${words}`);
  const table = [`| ${rows.length} rows | ${STATES.join(' | ')} |`, `|---|${STATES.map(() => '---').join('|')}|`, ...byLevel];
  return [...table, '', `Over drachtio: ${over.join('; ')}.`];
}

function untested() {
  const found = rows.filter(({ tests, state }) => tests.length === 0 && (state === 'yes' || state === 'partly'));
  if (found.length === 0) return ['', 'Every row that says `yes` or `partly` names a test.'];
  return ['', 'Said without a test:', '', ...found.map((row) => `* ${row.group === '–' ? '' : `RFC ${row.group} `}${row.at}: ${row.what}`)];
}

function line({ at, what, level, state, why, drachtio, tests }) {
  const own = why ? `${state}: ${why}` : state;
  const other = state === 'yes' || state === 'partly' || drachtio !== 'same' ? DRACHTIO[drachtio] : '–';
  return `| ${[at, what, level, own, other, tests.map(shown).join('<br>') || '–'].map(cell).join(' | ')} |`;
}

function shown(test) {
  const { path, title, example } = split(test);
  const name = path.replace(/^test\/(.*)\.test\.ts$/, '$1');
  return `[${name}](../${path}): ${title}${example === undefined ? '' : ` › ${example}`}`;
}

function peerTest(name) {
  return `[interop/${name}](../test/interop/${name}.test.ts)`;
}

function cell(text) {
  return text.replaceAll('|', '\\|').replaceAll(/\n/g, ' ').replaceAll('*', '\\*');
}
