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
  /** Where tokens are had; unset: where the environment says, or else in the cloud. */
  readonly authority: string | undefined;
  readonly cloud: keyof typeof scopes;
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
  const { managedIdentity, workloadIdentity, oauth, sdk } = settings;
  const { name = 'AzurePublic', aadEndpoint, tokenAudience } = settings.cloud ?? {};
  checkCloud(name === 'AzureCustom', settings, path, problems);
  // The names of a cloud of one's own are its endpoint and its audience.
  const cloud = name === 'AzureCustom' ? 'AzurePublic' : name;
  const scope = settings.scope ?? tokenAudience ?? scopes[cloud];
  const common = { authority: aadEndpoint?.href, cloud, scope };
  const given = (['managed_identity', 'workload_identity', 'oauth', 'sdk'] as const).filter((key) =>
    problems.isWritten(`${path}.${key}`),
  );
  for (const other of given.slice(1)) problems.excludes(`${path}.${other}`, `${path}.${given[0]!}`);
  if (managedIdentity !== undefined) {
    return { ...common, way: { kind: 'managed_identity', clientId: managedIdentity.clientId } };
  }
  if (workloadIdentity !== undefined) {
    const { clientId, tenantId, tokenFilePath } = workloadIdentity;
    if (clientId === undefined || tenantId === undefined) return undefined; // reported
    const assertion = new Secret({ file: tokenFilePath });
    return { ...common, way: { kind: 'workload_identity', clientId, tenantId, assertion } };
  }
  if (oauth !== undefined) {
    const { clientId, clientSecret, tenantId } = oauth;
    if (clientId === undefined || clientSecret === undefined || tenantId === undefined) return undefined; // reported
    return { ...common, way: { kind: 'oauth', clientId, clientSecret, tenantId } };
  }
  if (sdk !== undefined) return { ...common, way: { kind: 'sdk', tenantId: sdk.tenantId } };
  problems.addAcross([path], 'expected one of `managed_identity`, `workload_identity`, `oauth` and `sdk`');
  return undefined;
}

function checkCloud(custom: boolean, { cloud }: Section<'azuread'>, path: string, problems: Problems): void {
  const keys = { aad_endpoint: cloud?.aadEndpoint, token_audience: cloud?.tokenAudience };
  for (const [key, value] of Object.entries(keys)) {
    const own = `${path}.cloud.${key}`;
    if (custom && value === undefined) {
      problems.addAcross([own, `${path}.cloud.name`, `${path}.cloud`], `\`AzureCustom\` needs \`${key}\``);
    } else if (!custom && value !== undefined) {
      problems.addAcross([own], 'without effect: only `AzureCustom` is told where it is');
    }
  }
}
