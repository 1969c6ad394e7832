import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child } from './child.ts';
import { type Endpoint, endpointText, freePort, LOOPBACK } from './endpoint.ts';
import { encodeG711 } from './g711.ts';
import { requiredPeer } from './peers.ts';
import { removeFolder, tempFolder } from './temp-folder.ts';
import { tone } from './tones.ts';

/** Scenarios of our own, in test/support/sipp. */
export type SippScenario =
  | 'options'
  | 'uac-auth'
  | 'uac-auth-refused'
  | 'uac-register'
  | 'uac-register-brief'
  | 'uac-register-another'
  | 'uac-call'
  | 'uac-audio'
  | 'uac-cancel'
  | 'uac-cancel-after-answer'
  | 'uac-bye-before-ack'
  | 'uac-late-ack'
  | 'uac-reinvite'
  | 'uac-refer'
  | 'uac-refused-codec'
  | 'uac-nosdp'
  | 'uac-nosdp-noanswer'
  | 'uac-reinvite-nosdp'
  | 'uac-hold-variants'
  | 'uac-update'
  | 'uac-reinvite-overlap'
  | 'uac-prack'
  | 'uac-session-timer'
  | 'uac-session-refreshed'
  | 'uac-session-expired'
  | 'uac-drop-200-then-cancel';

/** Scenarios that sipp brings along. */
export type BuiltInScenario = 'uac' | 'uas';

export interface SippOptions {
  readonly scenario: SippScenario | { readonly builtIn: BuiltInScenario };
  readonly calls?: number;
  /** New calls a second. */
  readonly rate?: number;
  /** Calls at a time at the most. */
  readonly limit?: number;
  /** How long a call lasts. */
  readonly talkMs?: number;
  /** What uac-audio plays, over and over; 440 Hz when left out. 8 kHz. */
  readonly audio?: Int16Array;
  readonly user?: string;
  /** Share of SIP messages it loses, in per cent, both ways. */
  readonly lossPercent?: number;
  readonly args?: readonly string[];
  /** It is killed after this. */
  readonly deadlineMs?: number;
}

/** What sipp counted. */
export interface SippResult {
  readonly exitCode: number | null;
  readonly created: number;
  readonly successful: number;
  readonly failed: number;
  readonly retransmissions: number;
  /** Calls that ended on a message the scenario does not have. */
  readonly unexpected: number;
  /** Calls whose request was repeated until sipp gave up. */
  readonly unanswered: number;
  readonly outOfCall: number;
  /** Mean time from INVITE to 200, in milliseconds. */
  readonly meanAnswerMs: number;
  /** What it complained of, with the messages. */
  readonly errors: string;
}

const DEADLINE_MS = 60_000;

/** One run of sipp. */
class Sipp {
  readonly #child: Child;
  readonly #folder: string;
  readonly local: Endpoint;
  readonly result: Promise<SippResult>;

  constructor(child: Child, folder: string, local: Endpoint, deadlineMs: number) {
    this.#child = child;
    this.#folder = folder;
    this.local = local;
    const killer = setTimeout(() => child.signal('SIGKILL'), deadlineMs);
    this.result = child.ended.then(({ code }) => {
      clearTimeout(killer);
      const result = readResult(folder, code, child);
      removeFolder(folder);
      return result;
    });
  }

  /** Takes no new calls and ends with the last one: how a sipp that answers is stopped. */
  stop(): Promise<SippResult> {
    this.#child.signal('SIGUSR1');
    return this.result;
  }

  async kill(): Promise<void> {
    await this.#child.kill();
    removeFolder(this.#folder);
  }
}

/** A port that was free may be taken when sipp comes to bind it and its neighbours: so many tries. */
const STARTS = 4;

/** Runs sipp against `to` until all calls are over. */
export async function runSipp(to: Endpoint, options: SippOptions): Promise<SippResult> {
  let result = await (await startSipp(to, options)).result;
  for (let tries = 1; tries < STARTS && result.created === 0 && /Unable to bind|in use/.test(result.errors); tries++) {
    result = await (await startSipp(to, options)).result;
  }
  return result;
}

/** A sipp that waits for calls and answers them. */
export async function startSippServer(options: Omit<SippOptions, 'scenario'> = {}): Promise<Sipp> {
  return startSipp(undefined, { ...options, scenario: { builtIn: 'uas' } });
}

/** Starts sipp; `to` is left out when it is to answer. */
async function startSipp(to: Endpoint | undefined, options: SippOptions): Promise<Sipp> {
  const program = requiredPeer('sipp');
  const folder = tempFolder('sipp');
  const local = { address: LOOPBACK, port: await freePort() };
  const { scenario, calls, rate = 10, limit, talkMs = 0, user = 'agent', lossPercent, args = [], deadlineMs = DEADLINE_MS } = options;
  const scenarioArgs = typeof scenario === 'string' ? ['-sf', scenarioPath(scenario)] : ['-sn', scenario.builtIn];
  if (scenario === 'uac-audio') writeFileSync(join(folder, 'audio.ulaw'), encodeG711('PCMU', options.audio ?? tone(440, 1000)));
  const client = to ? [endpointText(to), '-r', String(rate), '-m', String(calls ?? 1), '-s', user, '-d', String(talkMs)] : [];
  const child = new Child(
    program,
    [
      ...client,
      ...scenarioArgs,
      ...['-i', local.address, '-p', String(local.port), '-mi', local.address, '-mp', String(await freePort())],
      ...(limit === undefined ? [] : ['-l', String(limit)]),
      ...(lossPercent === undefined ? [] : ['-lost', String(lossPercent), '-max_retrans', '12']),
      // Its watchdog complains of the machine, not of the calls.
      ...[
        '-watchdog_interval',
        '0',
        '-nostdin',
        '-trace_stat',
        '-stf',
        join(folder, 'stat.csv'),
        '-fd',
        '1',
        '-trace_err',
        '-error_file',
        join(folder, 'errors.log'),
      ],
      ...args,
    ],
    { cwd: folder, name: 'sipp' },
  );
  return new Sipp(child, folder, local, deadlineMs);
}

function scenarioPath(name: SippScenario): string {
  return fileURLToPath(new URL(`sipp/${name}.xml`, import.meta.url));
}

/** Errors are kept to this length: one of 200 failed calls says it as well as all of them. */
const MAX_ERRORS_CHARS = 4000;

function readResult(folder: string, exitCode: number | null, child: Child): SippResult {
  const statistics = join(folder, 'stat.csv');
  const errorLog = join(folder, 'errors.log');
  const counters = existsSync(statistics) ? readStatistics(readFileSync(statistics, 'latin1')) : () => '';
  const number = (name: string): number => Number(counters(name)) || 0;
  // sipp also writes its faults (a scenario it cannot read, a port in use) to stderr.
  const errors = existsSync(errorLog)
    ? withoutRepeats(readFileSync(errorLog, 'latin1'))
    : child.stderr.all.filter((line) => !line.startsWith('Resolving')).join('\n');
  return {
    exitCode,
    created: number('TotalCallCreated'),
    successful: number('SuccessfulCall(C)'),
    failed: number('FailedCall(C)'),
    retransmissions: number('Retransmissions(C)'),
    unexpected: number('FailedUnexpectedMessage(C)'),
    unanswered: number('FailedMaxUDPRetrans(C)'),
    outOfCall: number('OutOfCallMsgs(C)'),
    meanAnswerMs: milliseconds(counters('ResponseTime1(C)')),
    errors: errors.slice(0, MAX_ERRORS_CHARS),
  };
}

/** An ACK that comes late on a busy machine makes a 200 come twice, which is as it should be; it may come when its call is over. */
function withoutRepeats(log: string): string {
  const [head = '', ...events] = log.split(/^(?='?\d{4}-\d\d-\d\d\t)/m);
  const kept = events.filter((event) => !/Dead call \S+ \(successful\), received 'SIP\/2\.0 200 /.test(event));
  return kept.length === 0 && events.length > 0 ? '' : [head, ...kept].join('');
}

/** The counters of the last line of a statistics file, by name. */
export function readStatistics(csv: string): (name: string) => string {
  const lines = csv.trim().split('\n');
  const names = (lines[0] ?? '').split(';');
  const values = (lines.at(-1) ?? '').split(';');
  return (name) => (lines.length < 2 ? '' : (values[names.indexOf(name)] ?? ''));
}

/** `00:00:00:004000` is hours, minutes, seconds and microseconds. */
function milliseconds(text: string): number {
  const [hours = 0, minutes = 0, seconds = 0, micros = 0] = text.split(':').map(Number);
  return ((hours * 60 + minutes) * 60 + seconds) * 1000 + micros / 1000;
}
