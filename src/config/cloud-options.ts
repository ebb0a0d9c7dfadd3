/** The rows of the options table for the ways to authenticate that clouds have of their own, in the words of Prometheus. */
export const cloudOptions = {
  sigv4: {
    type: 'section',
    optional: true,
    about:
      'AWS Signature Version 4 on each request. Without a key here, credentials come from where AWS tools look: the environment, the files of a profile, a web identity, the container or the instance. Needs the packages `@smithy/signature-v4` and `@aws-sdk/credential-providers`. Excludes the other ways to authenticate.',
    options: {
      region: {
        type: 'string',
        pattern: '^[a-z0-9-]+$',
        allowed: 'the name of a region',
        default: null,
        example: 'eu-central-1',
        why: 'Unset: `AWS_REGION` or `AWS_DEFAULT_REGION` of the environment.',
        about: 'The region of the endpoint.',
      },
      access_key: {
        type: 'string',
        hidden: true,
        default: null,
        example: 'AKIDEXAMPLE',
        about: 'The access key.',
      },
      secret_key: {
        type: 'secret',
        default: null,
        example: 'change-me',
        about: 'The secret of the access key.',
      },
      secret_key_file: {
        type: 'path',
        default: null,
        example: './secret-key',
        about: 'Not in Prometheus: a file with the secret, read again when it changes.',
      },
      profile: {
        type: 'string',
        default: null,
        example: 'metrics',
        about: 'The profile of the AWS files to use.',
      },
      role_arn: {
        type: 'string',
        default: null,
        example: 'arn:aws:iam::123456789012:role/writer',
        about: 'The role to take on with the credentials.',
      },
      external_id: {
        type: 'string',
        default: null,
        example: 'id',
        about: 'What the owner of the role wants to hear.',
      },
      use_fips_sts_endpoint: {
        type: 'boolean',
        default: false,
        why: 'The default of Prometheus.',
        about: 'Whether the role is asked for at an STS endpoint that complies with FIPS.',
      },
      service_name: {
        type: 'string',
        pattern: '^[a-z0-9-]+$',
        allowed: 'the name of a service of AWS',
        default: 'aps',
        why: 'Amazon Managed Service for Prometheus, as in Prometheus.',
        about: 'The service that the signature is for.',
      },
    },
  },
  google_iam: {
    type: 'section',
    optional: true,
    about:
      'A token of Google Cloud with the right to write metrics. Needs the package `google-auth-library`. Excludes the other ways to authenticate.',
    options: {
      credentials_file: {
        type: 'path',
        default: null,
        example: './google.json',
        why: 'Unset: the default credentials of the environment or the instance.',
        about: 'A file with credentials, as Google hands it out.',
      },
    },
  },
  azuread: {
    type: 'section',
    optional: true,
    about:
      'A token of Microsoft Entra ID (Azure AD) for Azure Monitor: one of `managed_identity`, `workload_identity`, `oauth` and `sdk`. Excludes the other ways to authenticate.',
    options: {
      cloud: {
        type: 'section',
        optional: true,
        shorthand: 'name',
        about:
          'The cloud in which the endpoint is: its name alone, or a section, which `AzureCustom` needs. Unset, it is `AzurePublic`.',
        options: {
          name: {
            type: 'enum',
            values: ['AzurePublic', 'AzureGovernment', 'AzureChina', 'AzureCustom'],
            default: 'AzurePublic',
            why: 'The default of Prometheus.',
            about: 'The name of the cloud.',
          },
          aad_endpoint: {
            type: 'http-url',
            default: null,
            example: 'https://login.cloud.example/',
            about: 'Where tokens are had in `AzureCustom`.',
          },
          token_audience: {
            type: 'string',
            default: null,
            example: 'https://monitor.cloud.example/.default',
            about: 'What the token is to be good for in `AzureCustom`.',
          },
        },
      },
      scope: {
        type: 'string',
        default: null,
        example: 'https://monitor.azure.com//.default',
        why: 'Unset: that of Azure Monitor in the cloud.',
        about: 'What the token is to be good for.',
      },
      managed_identity: {
        type: 'section',
        optional: true,
        about: 'The identity that the machine, or the app, was given.',
        options: {
          client_id: {
            type: 'string',
            default: null,
            example: '00000000-0000-0000-0000-000000000000',
            why: 'Unset: the identity that the system assigned.',
            about: 'Which identity, where there are several.',
          },
        },
      },
      workload_identity: {
        type: 'section',
        optional: true,
        about:
          'The identity that Kubernetes vouches for, by a token that it puts into the pod (Microsoft Entra Workload ID).',
        options: {
          client_id: {
            type: 'string',
            default: null,
            example: '00000000-0000-0000-0000-000000000000',
            required: true,
            about: 'The application, or the managed identity.',
          },
          tenant_id: {
            type: 'string',
            pattern: '^[0-9a-zA-Z.-]+$',
            allowed: 'letters, digits, `.` and `-`',
            default: null,
            example: '00000000-0000-0000-0000-000000000000',
            required: true,
            about: 'Its tenant.',
          },
          token_file_path: {
            type: 'path',
            default: '/var/run/secrets/azure/tokens/azure-identity-token',
            why: 'Where the webhook of Azure puts it, and the default of Prometheus.',
            about: 'The file with the token of Kubernetes, read again when it changes.',
          },
        },
      },
      oauth: {
        type: 'section',
        optional: true,
        about: 'A registered application.',
        options: {
          client_id: {
            type: 'string',
            default: null,
            example: '00000000-0000-0000-0000-000000000000',
            required: true,
            about: 'The application.',
          },
          client_secret: {
            type: 'secret',
            default: null,
            example: 'change-me',
            required: true,
            about: 'Its secret.',
          },
          tenant_id: {
            type: 'string',
            pattern: '^[0-9a-zA-Z.-]+$',
            allowed: 'letters, digits, `.` and `-`',
            default: null,
            example: '00000000-0000-0000-0000-000000000000',
            required: true,
            about: 'The tenant of the application.',
          },
        },
      },
      sdk: {
        type: 'section',
        optional: true,
        about:
          'Where the SDK of Azure looks for credentials. Needs the package `@azure/identity`, which is not installed by itself: it is large.',
        options: {
          tenant_id: {
            type: 'string',
            pattern: '^[0-9a-zA-Z.-]+$',
            allowed: 'letters, digits, `.` and `-`',
            default: null,
            example: '00000000-0000-0000-0000-000000000000',
            about: 'The tenant.',
          },
        },
      },
    },
  },
} as const;
