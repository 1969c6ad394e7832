import type { CommandFault } from '../session-event.ts';
import type { CallControl } from './call-control.ts';
import type { Entry, EntryRules } from './digit-collector.ts';
import type { RunningEntry } from './key-entry.ts';
import type { AbortReason, FillerChoice, RunningTool, ToolCall, ToolDefinition, ToolNews, ToolSource } from './tool-source.ts';

/** Somebody whom a caller may be transferred to. The model knows the name and what is said of it; never the address. */
export interface TransferTarget {
  readonly name: string;
  readonly description?: string | undefined;
  /** `sip:` or `tel:`; the caller's side is asked to call it (REFER). */
  readonly uri: string;
}

/** Secret keys on their way to somebody who has no channel. */
export interface DeliveredEntry extends Entry {
  readonly sessionId: string;
  readonly project: string;
}

/** Brings them there. Never rejects. @returns whether they arrived */
export type DeliverEntry = (entry: DeliveredEntry) => Promise<boolean>;

/** The call's own tools that a model may be given, and what it may do with each. */
export interface CallToolOptions {
  readonly transfer?: { readonly targets: readonly TransferTarget[] } | undefined;
  readonly hangUp?: boolean | undefined;
  /** @param allow the keys it may press; @param most at once */
  readonly sendDtmf?: { readonly allow: string; readonly most: number } | undefined;
  readonly holdMusic?: { readonly mostMs: number } | undefined;
  /** @param secure whatever the model asks for: it never has the keys @param deliver of secret keys, where no channel takes them */
  readonly collectDigits?: { readonly secure: boolean; readonly most: number; readonly deliver?: DeliverEntry | undefined } | undefined;
  readonly filler?: FillerChoice | undefined;
}

/** Ringing somebody takes so long: most people answer within half a minute, or a machine does. */
const TRANSFER_MS = 120_000;

/** A caller who reads a number off a card looks at it twice. */
const FIRST_KEY_S = 15;
const BETWEEN_KEYS_S = 5;
const MOST_WAIT_S = 120;

type Tell = (news: ToolNews) => void;

const DONE_AT_ONCE: RunningTool = { abort: () => {} };

/** The tools by which a model moves the call that it is in. */
export class CallTools implements ToolSource {
  readonly label = 'call';
  onChanged: (() => void) | undefined;
  readonly #call: CallControl;
  readonly #options: CallToolOptions;
  readonly #whose: Pick<DeliveredEntry, 'sessionId' | 'project'>;
  /** Has it switched music on? */
  #plays = false;

  constructor(call: CallControl, options: CallToolOptions, whose: Pick<DeliveredEntry, 'sessionId' | 'project'>) {
    this.#call = call;
    this.#options = options;
    this.#whose = whose;
  }

  /** Those that this call has a use for. */
  get tools(): readonly ToolDefinition[] {
    const { transfer, hangUp, sendDtmf, holdMusic, collectDigits, filler } = this.#options;
    const { canTransfer, hasKeys, isCall } = this.#call;
    const tools: ToolDefinition[] = [];
    if (transfer && canTransfer && transfer.targets.length > 0) tools.push(transferTool(transfer.targets, filler));
    if (hangUp) tools.push(HANG_UP);
    if (sendDtmf && hasKeys) tools.push(sendTool(sendDtmf));
    if (holdMusic && isCall) tools.push(HOLD_MUSIC);
    if (collectDigits && hasKeys) tools.push(collectTool(collectDigits));
    return tools;
  }

  start({ name, arguments: args }: ToolCall, tell: Tell): RunningTool {
    switch (name) {
      case 'transfer':
        return this.#transfer(args['target'], tell);
      case 'hang_up':
        tell({ type: 'done', output: 'The call ends now.', silent: true });
        this.#call.afterSpeech(() => this.#call.hangUp());
        return DONE_AT_ONCE;
      case 'send_dtmf':
        this.#send(args['digits'], tell);
        return DONE_AT_ONCE;
      case 'hold_music':
        this.#hold(args['on'], tell);
        return DONE_AT_ONCE;
      case 'collect_digits':
        return this.#collect(args, tell);
      default:
        tell({ type: 'failed', code: 'unknown_tool', message: 'There is no such tool.' });
        return DONE_AT_ONCE;
    }
  }

  close(): void {
    // The music may be another source's.
    if (this.#plays) this.#call.playMusic(0);
    this.#plays = false;
  }

  #transfer(name: unknown, tell: Tell): RunningTool {
    const target = this.#options.transfer?.targets.find((each) => each.name === name);
    if (!target) {
      tell({ type: 'failed', code: 'unknown_target', message: 'There is nobody of that name to transfer to.' });
      return DONE_AT_ONCE;
    }
    let wanted = true;
    const transfer = (): void => {
      if (!wanted) return;
      const fault = this.#call.transfer(target.uri, (outcome) => {
        if (outcome.type === 'succeeded') tell({ type: 'done', output: 'The caller is being connected.', silent: true });
        else tell({ type: 'failed', code: 'not_transferred', message: `${target.name} could not be reached${saying(outcome.status)}.` });
      });
      if (fault) refuse(fault, tell);
    };
    this.#call.afterSpeech(transfer, () => refuse({ code: 'invalid_state', message: 'The caller talks to somebody else.' }, tell));
    return {
      abort: () => {
        wanted = false;
      },
    };
  }

  #send(digits: unknown, tell: Tell): void {
    const { allow = '', most = 0 } = this.#options.sendDtmf ?? {};
    if (typeof digits !== 'string' || digits === '' || digits.length > most || [...digits].some((key) => !allow.includes(key))) {
      tell({ type: 'failed', code: 'not_allowed', message: `Only ${allow} may be pressed, and no more than ${most} at once.` });
      return;
    }
    const fault = this.#call.sendDtmf(digits);
    if (fault) refuse(fault, tell);
    else tell({ type: 'done', output: 'The keys are being pressed.' });
  }

  #hold(on: unknown, tell: Tell): void {
    this.#plays = on !== false;
    this.#call.playMusic(on === false ? 0 : (this.#options.holdMusic?.mostMs ?? 0));
    tell({ type: 'done', output: on === false ? 'The music has stopped.' : 'The caller hears music.', silent: on !== false });
  }

  #collect(args: Readonly<Record<string, unknown>>, tell: Tell): RunningTool {
    const { secure: always = true, most = 0 } = this.#options.collectDigits ?? {};
    const secure = always || args['secure'] === true;
    const rules: EntryRules = {
      most: wholeWithin(args['count'], 1, most, most),
      terminators: typeof args['terminator'] === 'string' ? args['terminator'].slice(0, 4) : '#',
      firstMs: 1000 * wholeWithin(args['first_timeout'], 1, MOST_WAIT_S, FIRST_KEY_S),
      betweenMs: 1000 * wholeWithin(args['timeout'], 1, MOST_WAIT_S, BETWEEN_KEYS_S),
    };
    const onEntry = (entry: Entry): void => tell({ type: 'done', output: JSON.stringify(resultOf(entry, secure)) });
    const running = secure ? this.#collectSecurely(rules, onEntry, tell) : this.#call.collect(rules, onEntry);
    if ('code' in running) {
      refuse(running, tell);
      return DONE_AT_ONCE;
    }
    return { abort: (reason: AbortReason) => running.stop(reason === 'ended' ? 'gone' : 'stopped') };
  }

  /** Where they go to somebody without a channel, the model hears of it when they have arrived. */
  #collectSecurely(rules: EntryRules, onEntry: (entry: Entry) => void, tell: Tell): RunningEntry | CommandFault {
    const { deliver } = this.#options.collectDigits ?? {};
    let arrives: Promise<boolean> | undefined;
    const toOthers = (entry: Entry): void => {
      arrives = deliver?.({ ...entry, ...this.#whose });
    };
    const onMasked = (entry: Entry): void => {
      if (!arrives) onEntry(entry);
      else
        void arrives.then((arrived) => {
          if (arrived) onEntry(entry);
          else tell({ type: 'failed', code: 'not_delivered', message: 'The application did not take what was entered.' });
        });
    };
    return this.#call.collectSecurely(rules, onMasked, deliver && toOthers);
  }
}

function resultOf({ digits, endedBy }: Entry, secure: boolean): Record<string, unknown> {
  // What only the application may have is masked here a second time.
  const shown = secure ? '*'.repeat(digits.length) : digits;
  return { digits: shown, count: digits.length, ended_by: endedBy, ...(secure ? { secure: true } : {}) };
}

function refuse({ code, message }: CommandFault, tell: Tell): void {
  tell({ type: 'failed', code, message });
}

function saying(status: number | undefined): string {
  return status === undefined ? '' : status === 486 || status === 600 ? ': busy' : ` (${status})`;
}

function wholeWithin(value: unknown, least: number, most: number, otherwise: number): number {
  return typeof value === 'number' && Number.isFinite(value) ? Math.min(most, Math.max(least, Math.round(value))) : otherwise;
}

function transferTool(targets: readonly TransferTarget[], filler: FillerChoice | undefined): ToolDefinition {
  const who = targets.map(({ name, description }) => (description === undefined ? name : `${name} (${description})`)).join('; ');
  return {
    name: 'transfer',
    description: `Connects the caller with somebody else. You will not hear the caller again when it succeeds. Whom: ${who}.`,
    parameters: {
      type: 'object',
      properties: { target: { type: 'string', enum: targets.map(({ name }) => name) } },
      required: ['target'],
    },
    timeoutMs: TRANSFER_MS,
    filler,
  };
}

const HANG_UP: ToolDefinition = {
  name: 'hang_up',
  description: 'Ends the call, after what you have said has been heard. Say goodbye first.',
  parameters: { type: 'object', properties: {} },
};

function sendTool({ allow, most }: { readonly allow: string; readonly most: number }): ToolDefinition {
  return {
    name: 'send_dtmf',
    description: 'Presses keys towards the other side, as for the menu of a machine.',
    parameters: {
      type: 'object',
      properties: { digits: { type: 'string', pattern: `^[${allow.replace(/[\]\\^-]/g, '\\$&')}]{1,${most}}$` } },
      required: ['digits'],
    },
  };
}

const HOLD_MUSIC: ToolDefinition = {
  name: 'hold_music',
  description: 'Lets the caller hear music while nobody speaks, until you switch it off.',
  parameters: { type: 'object', properties: { on: { type: 'boolean' } }, required: ['on'] },
};

function collectTool({ secure, most }: { readonly secure: boolean; readonly most: number }): ToolDefinition {
  return {
    name: 'collect_digits',
    description: secure
      ? 'Has the caller type a secret number on the keys of the phone. You are told how many keys there were, not which. Ask for it before.'
      : 'Has the caller type a number on the keys of the phone, and tells you which. Ask for it before. For card numbers and codes: secure.',
    parameters: {
      type: 'object',
      properties: {
        count: { type: 'integer', minimum: 1, maximum: most, description: 'It ends after so many keys.' },
        terminator: { type: 'string', description: 'Keys that end it; # if left out, empty for none.' },
        first_timeout: { type: 'integer', description: 'Seconds for the first key.' },
        timeout: { type: 'integer', description: 'Seconds from one key to the next.' },
        ...(secure ? {} : { secure: { type: 'boolean', description: 'You are told how many keys there were, not which.' } }),
      },
    },
    // Each key has its own time; this is only longer than all of them.
    timeoutMs: 3_600_000,
    filler: { sound: 'none' },
  };
}
