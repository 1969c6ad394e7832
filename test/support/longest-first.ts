import { relative } from 'node:path';
import type { TestSpecification } from 'vitest/node';
import { BaseSequencer } from 'vitest/node';

/** Files of the two lanes that take long, the longest first: what comes late and is long leaves one lane idle. */
const LONGEST = [
  'interop/newcomer',
  'interop/web-page',
  'interop/web-page-errors',
  'scenario/persons',
  'scenario/lifecycle',
  'interop/kamailio',
  'scenario/workers',
  'interop/chromium',
  'scenario/outbound',
  'scenario/roles-apart',
  'interop/stock-program',
  'interop/stock-chain',
  'interop/sipp',
  'scenario/media-changes',
  'scenario/media-quality',
  'interop/sipp-depth',
  'scenario/ipv6',
  'interop/baresip',
  'scenario/workers-outbound',
  'scenario/stalls',
  'interop/baresip-secure',
  'attack/srtp',
  'scenario/bad-network',
  'interop/web-page-paths',
  'attack/http-api',
  'scenario/lost-messages',
].map((name) => `test/${name}.test.ts`);

/** Runs the longest files first; all others after them, in the order that they would have. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const found = LONGEST.indexOf(relative(this.ctx.config.root, moduleId));
      return found === -1 ? LONGEST.length : found;
    };
    const sorted = await super.sort(files);
    return sorted.sort((a, b) => rank(a) - rank(b));
  }
}
