import type { EndpointSettings } from './options.ts';
import type { Problems } from './problems.ts';
import { Secret } from './secrets.ts';

type Section<Key extends 'sigv4' | 'azuread'> = NonNullable<EndpointSettings[Key]>;

/** Who signs requests with AWS Signature Version 4. */
export interface SigV4Config
  extends Pick<
    Section<'sigv4'>,
    'profile' | 'roleArn' | 'externalId' | 'useFipsStsEndpoint' | 'serviceName'
  > {
  readonly region: string;
  /** Unset: the credentials are looked for. */
  readonly key: { readonly id: string; readonly secret: Secret } | undefined;
}

/** Who asks Azure for a token, and for what. */
export interface AzureAdConfig {
  readonly cloud: Section<'azuread'>['cloud'];
  readonly scope: string;
  readonly way:
    | { readonly kind: 'managed_identity'; readonly clientId: string | undefined }
    | {
        readonly kind: 'workload_identity';
        readonly clientId: string;
        readonly tenantId: string;
        /** What Kubernetes has signed. */
        readonly assertion: Secret;
      }
    | {
        readonly kind: 'oauth';
        readonly clientId: string;
        readonly clientSecret: Secret;
        readonly tenantId: string;
      }
    | { readonly kind: 'sdk'; readonly tenantId: string | undefined };
}

const scopes = {
  AzurePublic: 'https://monitor.azure.com//.default',
  AzureGovernment: 'https://monitor.azure.us//.default',
  AzureChina: 'https://monitor.azure.cn//.default',
} as const;

export function sigv4Of(
  settings: Section<'sigv4'>,
  path: string,
  problems: Problems,
): SigV4Config | undefined {
  const { accessKey, secretKey, secretKeyFile, ...rest } = settings;
  if (secretKey !== undefined && secretKeyFile !== undefined) {
    problems.excludes(`${path}.secret_key_file`, `${path}.secret_key`);
  }
  const secret = secretKeyFile === undefined ? secretKey : new Secret({ file: secretKeyFile });
  if ((accessKey === undefined) !== (secret === undefined)) {
    problems.addAcross(
      [`${path}.access_key`, `${path}.secret_key`, `${path}.secret_key_file`],
      'expected both `access_key` and its secret (`secret_key` or `secret_key_file`), or neither',
    );
  }
  if (accessKey !== undefined && rest.profile !== undefined) {
    problems.excludes(`${path}.profile`, `${path}.access_key`);
  }
  const region = rest.region ?? process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION;
  if (region === undefined) {
    problems.addAcross(
      [path, `${path}.region`],
      '`region` is missing, and the environment has no AWS_REGION',
    );
    return undefined;
  }
  return {
    ...rest,
    region,
    key: accessKey === undefined || secret === undefined ? undefined : { id: accessKey, secret },
  };
}

export function azureAdOf(
  settings: Section<'azuread'>,
  path: string,
  problems: Problems,
): AzureAdConfig | undefined {
  const { cloud, scope = scopes[cloud], managedIdentity, workloadIdentity, oauth, sdk } = settings;
  const given = (['managed_identity', 'workload_identity', 'oauth', 'sdk'] as const).filter((key) =>
    problems.isWritten(`${path}.${key}`),
  );
  for (const other of given.slice(1)) problems.excludes(`${path}.${other}`, `${path}.${given[0]!}`);
  if (managedIdentity !== undefined) {
    return { cloud, scope, way: { kind: 'managed_identity', clientId: managedIdentity.clientId } };
  }
  if (workloadIdentity !== undefined) {
    const { clientId, tenantId, tokenFilePath } = workloadIdentity;
    if (clientId === undefined || tenantId === undefined) return undefined; // reported
    const assertion = new Secret({ file: tokenFilePath });
    return { cloud, scope, way: { kind: 'workload_identity', clientId, tenantId, assertion } };
  }
  if (oauth !== undefined) {
    const { clientId, clientSecret, tenantId } = oauth;
    if (clientId === undefined || clientSecret === undefined || tenantId === undefined) return undefined; // reported
    return { cloud, scope, way: { kind: 'oauth', clientId, clientSecret, tenantId } };
  }
  if (sdk !== undefined) return { cloud, scope, way: { kind: 'sdk', tenantId: sdk.tenantId } };
  problems.addAcross([path], 'expected one of `managed_identity`, `workload_identity`, `oauth` and `sdk`');
  return undefined;
}
