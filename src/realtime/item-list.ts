import type { ContentPart } from './model.ts';
import type { RecordItem } from './record-item.ts';

/** A conversation of a day of short turns; the oldest items go first. */
const MOST_ITEMS = 10_000;

/** What items may weigh: pictures and audio that clients put in, and text. First the oldest of those lose their content, then the oldest items go. */
const MOST_BYTES = 32 * 1024 * 1024;

/** What an item weighs beside its text. */
const ITEM_BYTES = 256;

/** A call of a server's tool is a function call to the model; these are nothing to it. */
const UNKNOWN_TO_MODELS: ReadonlySet<RecordItem['type']> = new Set(['mcp_list_tools', 'mcp_approval_request', 'mcp_approval_response']);

interface Entry {
  item: RecordItem;
  bytes: number;
  /** Of its own audio, at 24 kHz. */
  audioSamples: number;
}

/** The items of a conversation in their order. Bounded in number and size. */
export class ItemList {
  readonly #entries = new Map<string, Entry>();
  readonly #order: string[] = [];
  #bytes = 0;

  get size(): number {
    return this.#order.length;
  }

  /** The newest item. */
  get lastId(): string | null {
    return this.#order.at(-1) ?? null;
  }

  get(itemId: string): RecordItem | undefined {
    return this.#entries.get(itemId)?.item;
  }

  /** Samples of the audio this item has. */
  audioSamples(itemId: string): number {
    return this.#entries.get(itemId)?.audioSamples ?? 0;
  }

  addAudio(itemId: string, samples: number): void {
    const entry = this.#entries.get(itemId);
    if (entry) entry.audioSamples += samples;
  }

  /** After the item of this id; `root`: at the beginning; undefined: at the end. Tells what it came after, or why it did not. */
  add(item: RecordItem, after?: string): { readonly previousItemId: string | null } | 'duplicate' | 'no_such_item' {
    if (this.#entries.has(item.id)) return 'duplicate';
    const at = this.#placeAfter(after);
    if (at === undefined) return 'no_such_item';
    const previousItemId = this.#order[at - 1] ?? null;
    this.#order.splice(at, 0, item.id);
    const bytes = weigh(item);
    this.#entries.set(item.id, { item, bytes, audioSamples: 0 });
    this.#bytes += bytes;
    this.#shed();
    return { previousItemId };
  }

  /** The item as it is now; it keeps its place. */
  replace(item: RecordItem): void {
    const entry = this.#entries.get(item.id);
    if (!entry) return;
    this.#bytes -= entry.bytes;
    entry.item = item;
    entry.bytes = weigh(item);
    this.#bytes += entry.bytes;
    this.#shed();
  }

  /** The item before this one. */
  previousOf(itemId: string): string | null {
    const at = this.#order.lastIndexOf(itemId);
    return at > 0 ? (this.#order[at - 1] ?? null) : null;
  }

  /** Where a new item stands for models, which do not know the items of tools: after this item, at the `root`, or (undefined) at the end. */
  modelPlace(after: string | undefined): string | undefined {
    if (after === undefined || after === 'root' || after === this.lastId) return after === 'root' ? after : undefined;
    for (let at = this.#order.lastIndexOf(after); at >= 0; at--) {
      const item = this.get(this.#order[at] ?? '');
      if (item && !UNKNOWN_TO_MODELS.has(item.type)) return item.id;
    }
    return 'root';
  }

  remove(itemId: string): boolean {
    const entry = this.#entries.get(itemId);
    if (!entry) return false;
    this.#entries.delete(itemId);
    this.#order.splice(this.#order.lastIndexOf(itemId), 1);
    this.#bytes -= entry.bytes;
    return true;
  }

  #placeAfter(after: string | undefined): number | undefined {
    if (after === undefined) return this.#order.length;
    if (after === 'root') return 0;
    const at = this.#order.lastIndexOf(after);
    return at < 0 ? undefined : at + 1;
  }

  #shed(): void {
    while (this.#order.length > MOST_ITEMS) this.remove(this.#order[0] ?? '');
    if (this.#bytes <= MOST_BYTES) return;
    for (const entry of this.#entries.values()) {
      const light = lighten(entry.item);
      if (light === entry.item) continue;
      this.#bytes -= entry.bytes;
      entry.item = light;
      entry.bytes = weigh(light);
      this.#bytes += entry.bytes;
      if (this.#bytes <= MOST_BYTES) return;
    }
    while (this.#bytes > MOST_BYTES && this.#order.length > 1) this.remove(this.#order[0] ?? '');
  }
}

/** Two bytes a character is what text takes at most. */
function weigh(item: RecordItem): number {
  switch (item.type) {
    case 'message':
      return item.content.reduce((sum, part) => sum + weighPart(part), ITEM_BYTES);
    case 'function_call':
      return ITEM_BYTES + 2 * item.arguments.length;
    case 'function_call_output':
      return ITEM_BYTES + 2 * item.output.length;
    case 'mcp_call':
      return ITEM_BYTES + 2 * (item.arguments.length + (item.output?.length ?? 0));
    case 'mcp_approval_request':
      return ITEM_BYTES + 2 * item.arguments.length;
    case 'mcp_approval_response':
      return ITEM_BYTES + 2 * (item.reason?.length ?? 0);
    case 'mcp_list_tools':
      return ITEM_BYTES + 2 * JSON.stringify(item.tools).length;
  }
}

function weighPart(part: ContentPart): number {
  switch (part.type) {
    case 'input_text':
    case 'output_text':
      return 2 * part.text.length;
    case 'input_image':
      return part.image_url.length;
    case 'input_audio':
    case 'output_audio':
      return (part.audio?.length ?? 0) + 2 * (part.transcript?.length ?? 0);
  }
}

/** The item without its audio and pictures; the same object when it has none. */
function lighten(item: RecordItem): RecordItem {
  if (item.type !== 'message' || !item.content.some((part) => part.type === 'input_image' || ('audio' in part && part.audio))) return item;
  const content = item.content
    .filter((part) => part.type !== 'input_image')
    .map((part): ContentPart => {
      if (!('audio' in part)) return part;
      const { audio: _, ...rest } = part;
      return rest;
    });
  return { ...item, content };
}
