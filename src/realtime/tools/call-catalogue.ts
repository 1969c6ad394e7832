import { type CallToolOptions, CallTools, type TransferTarget } from './call-tools.ts';
import type { ToolCatalogue, ToolContext } from './tool-catalogue.ts';
import type { FillerChoice, HostedTool, ToolSource } from './tool-source.ts';

/** The keys of a telephone; those of A to D have machines alone. */
const KEYS = '0123456789*#';
const MOST_KEYS = 32;
const MOST_MUSIC_MS = 600_000;

/** An entry of type `call` of a session object, which has been checked. */
interface CallEntry {
  readonly name: string;
  readonly targets?: readonly TransferTarget[];
  readonly filler?: { readonly sound: FillerChoice['sound']; readonly after_ms?: number; readonly text?: string };
  readonly allow?: string;
  readonly most?: number;
  readonly most_seconds?: number;
  readonly secure?: boolean;
}

/** The call's own tools: those that the operator gives every model, and those that a session object asks for. */
export class CallCatalogue implements ToolCatalogue {
  readonly #options: CallToolOptions;

  /** @param options the operator's */
  constructor(options: CallToolOptions = {}) {
    this.#options = options;
  }

  standing({ call, sessionId, project }: ToolContext): readonly ToolSource[] {
    return [new CallTools(call, this.#options, { sessionId, project })];
  }

  /** Whoever brings a tool that collects secrets takes them by a channel: what the operator has set up is for the operator's own. */
  open(tool: HostedTool, { call, sessionId, project }: ToolContext): ToolSource | undefined {
    return tool.type === 'call' ? new CallTools(call, optionsOf(tool as unknown as CallEntry), { sessionId, project }) : undefined;
  }
}

function optionsOf({
  name,
  targets = [],
  filler,
  allow = KEYS,
  most = MOST_KEYS,
  most_seconds,
  secure = false,
}: CallEntry): CallToolOptions {
  switch (name) {
    case 'transfer':
      return { transfer: { targets }, filler: filler && { sound: filler.sound, afterMs: filler.after_ms, text: filler.text } };
    case 'hang_up':
      return { hangUp: true };
    case 'send_dtmf':
      return { sendDtmf: { allow, most } };
    case 'hold_music':
      return { holdMusic: { mostMs: most_seconds === undefined ? MOST_MUSIC_MS : most_seconds * 1000 } };
    case 'collect_digits':
      return { collectDigits: { secure, most } };
    default:
      return {};
  }
}
