import type { ToolListItem } from '../record-item.ts';
import { newItemId } from '../turn-record.ts';
import type { ToolListing, ToolSource } from './tool-source.ts';

/** Where the lists of other machines' tools are put down. */
export interface ListingStage {
  readonly listStarted: (item: ToolListItem) => void;
  readonly listDone: (item: ToolListItem, failed: boolean) => void;
}

interface Told {
  /** The item that waits for its tools. */
  open: ToolListItem | undefined;
  seen: ToolListing | undefined;
  /** What was told last, as JSON. */
  tools: string | undefined;
}

/**
 * Tells programs what other machines offer: once when their source comes, and again whenever it is other tools. How often a machine that is away is
 * asked is nobody's concern.
 */
export class ListingRecord {
  readonly #stage: ListingStage;
  readonly #told = new Map<ToolSource, Told>();

  constructor(stage: ListingStage) {
    this.#stage = stage;
  }

  /** The sources of now; any of them may have another listing than before. */
  note(sources: readonly ToolSource[]): void {
    for (const source of [...this.#told.keys()]) if (!sources.includes(source)) this.#forget(source);
    for (const source of sources) if (source.listing) this.#noteListing(source, source.listing);
  }

  #noteListing(source: ToolSource, listing: ToolListing): void {
    let told = this.#told.get(source);
    if (!told) {
      told = { open: this.#start(source), seen: undefined, tools: undefined };
      this.#told.set(source, told);
    }
    if (told.seen === listing || listing.state === 'in_progress') return;
    told.seen = listing;
    if (listing.state === 'failed') {
      if (told.open) this.#stage.listDone(told.open, true);
      told.open = undefined;
      return;
    }
    const tools = JSON.stringify(listing.tools);
    if (tools === told.tools && !told.open) return;
    told.tools = tools;
    this.#stage.listDone({ ...(told.open ?? this.#start(source)), tools: listing.tools }, false);
    told.open = undefined;
  }

  #start({ label }: ToolSource): ToolListItem {
    const item: ToolListItem = { type: 'mcp_list_tools', id: newItemId(), server_label: label, tools: [] };
    this.#stage.listStarted(item);
    return item;
  }

  #forget(source: ToolSource): void {
    const open = this.#told.get(source)?.open;
    this.#told.delete(source);
    if (open) this.#stage.listDone(open, true);
  }
}
