/**
 * What a row of the options table can say, and what follows from a row: the name and the type of its property.
 *
 * Defaults, examples and bounds are written as they would be in the YAML file and go through the same parsers.
 * A default of `null` means unset: the property is `undefined`.
 */
import type { EndpointAddress, HttpAddress, ListenAddress } from './addresses.ts';
import type { Secret } from './secrets.ts';

interface Described {
  /** What the key means, in whole sentences (Markdown). */
  readonly about: string;
}

type Scalar<D extends string | number | boolean> = Described &
  (
    | {
        readonly default: D;
        /** Why this default and no other, in whole sentences. */
        readonly why: string;
      }
    | {
        readonly default: null;
        /** A value for the sample, where it is commented out. */
        readonly example: D;
        readonly why?: string;
        /** A section without this key is an error. */
        readonly required?: true;
      }
  );

export type TextRow = Scalar<string> & {
  readonly type: 'string' | 'secret' | 'path' | 'url' | 'http-url' | 'proxy-url' | 'address';
  /** Strings only: a regular expression, and in words what it lets through. */
  readonly pattern?: string;
  readonly allowed?: string;
  /** Strings only: a key without a value is the empty text, and not one that is not written. */
  readonly blank?: true;
  /** Never show the value in an error: people put credentials there by mistake. */
  readonly hidden?: true;
};

export type EnumRow = Scalar<string> & {
  readonly type: 'enum';
  readonly values: readonly string[];
  /** The values may be written in capitals, too. */
  readonly anyCase?: true;
};

export type BooleanRow = Scalar<boolean> & { readonly type: 'boolean' };

export type IntegerRow = Scalar<number> & {
  readonly type: 'integer';
  /** What is counted, in the plural. */
  readonly unit: string;
  readonly min: number;
  readonly max: number;
};

/** A duration becomes milliseconds, a size becomes bytes. */
export type QuantityRow = Scalar<string> & {
  readonly type: 'duration' | 'size';
  readonly min: string;
  readonly max: string;
};

export type ScalarRow = TextRow | EnumRow | BooleanRow | IntegerRow | QuantityRow;

/** Names to texts; empty by default. */
export type MapRow = Described & {
  readonly type: 'map';
  readonly entries: 'label' | 'header' | 'user' | 'access' | 'param';
};

/** Texts, none of them empty; an empty list by default. Paths are made absolute. */
export type TextsRow = Described & { readonly type: 'texts' | 'secrets' | 'paths'; readonly of: string };

/** Names to rows that are all alike; empty by default. */
export type NamedRow = Described & {
  readonly type: 'named';
  readonly entries: 'header' | 'connect_header';
  readonly each: TextsRow | SectionRow;
};

/** The keys of one section. */
export interface Keys {
  readonly options: Section;
  /** Keys that Prometheus has here and Spillway has not yet. */
  readonly unsupported?: readonly string[];
}

export type SectionRow = Described &
  Keys & {
    readonly type: 'section';
    /** Unset unless it is written; otherwise the defaults of its keys hold. */
    readonly optional?: true;
    /** The key that a text in place of the section stands for. */
    readonly shorthand?: string;
  };

/** A list of sections, one at least unless it is optional. */
export type ListRow = Described &
  Keys & {
    readonly type: 'list';
    readonly optional?: true;
    /**
     * What the one section of the list says when there is no configuration file. Of an optional list it is the example,
     * which is commented out.
     */
    readonly sample: Readonly<Record<string, string>>;
  };

export type Row = ScalarRow | MapRow | TextsRow | NamedRow | SectionRow | ListRow;

/** Rows by YAML key. */
export type Section = Readonly<Record<string, Row>>;

type Camel<Key extends string> = Key extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail>>}`
  : Key;

type Suffixed<Name extends string, Suffix extends string> = Name extends
  | `${string}${Suffix}`
  | Uncapitalize<Suffix>
  ? Name
  : `${Name}${Suffix}`;

/** `batch_send_deadline`, a duration, is `batchSendDeadlineMs`; `max_request_bytes`, a size, `maxRequestBytes`. */
export type PropertyName<Key extends string, R extends Row> = R extends { type: 'duration' }
  ? `${Camel<Key>}Ms`
  : R extends { type: 'size' }
    ? Suffixed<Camel<Key>, 'Bytes'>
    : Camel<Key>;

type ScalarTypes = {
  string: string;
  path: string;
  secret: Secret;
  url: EndpointAddress;
  'http-url': HttpAddress;
  'proxy-url': HttpAddress;
  address: ListenAddress;
  boolean: boolean;
  integer: number;
  duration: number;
  size: number;
};

type TextsTypes = { texts: string; secrets: Secret; paths: string };

type Unset<R extends Row> = R extends { default: null } | { type: 'section'; optional: true }
  ? undefined
  : never;

type Value<R extends Row> = R extends { type: 'enum'; values: readonly (infer V)[] }
  ? V
  : R extends { type: keyof ScalarTypes }
    ? ScalarTypes[R['type']]
    : R extends { type: 'map' }
      ? Readonly<Record<string, string>>
      : R extends { type: keyof TextsTypes }
        ? readonly TextsTypes[R['type']][]
        : R extends { type: 'named'; each: infer Each extends Row }
          ? Readonly<Record<string, Value<Each>>>
          : R extends { type: 'list'; options: infer O extends Section }
            ? readonly Settings<O>[]
            : R extends { type: 'section'; options: infer O extends Section }
              ? Settings<O>
              : never;

/** The values of a section, by property name. */
export type Settings<S extends Section> = {
  readonly [Key in keyof S & string as PropertyName<Key, S[Key]>]: Value<S[Key]> | Unset<S[Key]>;
};

/** `PropertyName` at run time. */
export function propertyName(key: string, row: Row): string {
  const camel = key.replace(/_(.)/g, (_, first: string) => first.toUpperCase());
  if (row.type === 'duration') return `${camel}Ms`;
  return row.type === 'size' && !/(?:^b|B)ytes$/.test(camel) ? `${camel}Bytes` : camel;
}
