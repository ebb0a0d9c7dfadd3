import type { Label } from '../../src/protocol/schema.ts';
import { EXEMPLAR, HISTOGRAM, SAMPLE } from '../../src/serialization/rows.ts';
import { labels } from '../support/messages.ts';
import { Random } from '../support/random.ts';
import { int64Edges, oddBits } from './requests.ts';
import { Ring } from './road.ts';

/** Choices among few, so that labels, times and values meet again at every distance. */
export class Choices extends Random {
  chance(p: number): boolean {
    return this.next() < p;
  }

  of<T>(from: readonly T[]): T {
    return from[this.int(0, from.length)]!;
  }

  /** Labels of a series: most have a few, like those of the series before it; some have up to 200, some long ones. */
  labels(i: number, long: number): Label[] {
    const many = this.chance(0.02) ? this.int(50, 200) : this.int(0, 12);
    const length = () => (this.chance(long) ? this.of([130, 300, 20_000, 70_000]) : this.int(1, 12));
    const all: Record<string, string> = { __name__: this.of(['up', 'requests_total', `m${i}`]) };
    for (let k = 0; k < many; k++)
      all[`l${this.of([k, k, k, k + 7])}`] = this.chance(0.3)
        ? this.words()
        : `${this.int(0, 4)}`.repeat(length());
    if (this.chance(0.5)) all.instance = `10.0.0.${i >>> 2}`;
    if (this.chance(0.2)) all.zone = `z${i}`;
    return labels(all);
  }

  /**
   * Some of few words, some of them joined by something new: new labels share parts with one another. Some have the
   * bytes of a whole label in them.
   */
  words(): string {
    if (this.chance(0.1)) {
      const [name, value] = [`l${this.int(0, 8)}`, `${this.int(0, 4)}`.repeat(this.int(1, 5))];
      const inner = `\n\x02${name}\x12${String.fromCharCode(value.length)}${value}`;
      return `${this.of(['node', 'total'])}${this.int(0, 9)}\n${String.fromCharCode(inner.length)}${inner}`;
    }
    return Array.from({ length: this.int(1, 8) }, () => {
      return this.of(['', '', `${this.int(0, 1000)}`]) + this.of(['_', 'node', 'total', 'seconds', 'sec']);
    }).join('');
  }

  /** A value that has some bytes of another one. */
  value(): bigint {
    if (this.chance(0.3)) return this.of(oddBits);
    const value = (0x4059n << 48n) | BigInt(this.int(0, 60));
    return this.chance(0.5) ? value : value ^ (BigInt(this.int(1, 256)) << BigInt(8 * this.int(0, 8)));
  }

  /** The payload of a histogram or of an exemplar; parts of it stand in others too. */
  payload(): Uint8Array {
    const size = this.of([0, 1, 30, 200]);
    return Uint8Array.from({ length: this.int(0, size + 1) }, () => (this.chance(0.9) ? 10 : this.int(0, 3)));
  }

  /** Rows of these series: in their order, or of few of them again and again, or in no order. */
  ring(rows: number, series: number, kinds: readonly number[] = [HISTOGRAM, EXEMPLAR]): Ring {
    const ring = new Ring(rows, this.int(0, rows + 9));
    const order = this.of(['next', 'few', 'any']);
    const plain = this.chance(0.5);
    let time = int64(this.of([1_700_000_000_000n, ...int64Edges]));
    let next = this.int(0, series);
    for (let i = 0; i < rows; i++) {
      const id =
        order === 'next' ? next % series : this.int(0, order === 'few' ? Math.min(3, series) : series);
      if (!this.chance(0.05)) next++;
      if (this.chance(0.1))
        time = int64(this.of([1n, 1_700_000_000_000n, 1_700_000_000_015n, ...int64Edges]));
      const value = int64(this.value());
      const kind = plain || this.chance(0.9) ? SAMPLE : this.of(kinds);
      ring.push(kind, id, time, value, kind === SAMPLE ? undefined : this.payload());
      ring.skip[ring.at(i)] = this.chance(0.1) ? this.int(1, 256) : 0;
    }
    return ring;
  }
}

function int64(value: bigint): readonly [lo: number, hi: number] {
  return [Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n))];
}
