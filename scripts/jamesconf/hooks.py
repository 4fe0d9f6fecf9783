"""Every handler class that ships with James: its package, its options, and what to know.

mxring's chain names the classes without package and takes the options under James's names.
"""
from jamesconf import hookopts as opt
from jamesconf.report import NOTE, WARNING

ROOT = "org.apache.james."
FASTFAIL = "smtpserver.fastfail"


class Hook:
    """packages: behind org.apache.james. options: {name: hookopts.Option}.

    left_out: why it is not wanted in mxring. refused: why it cannot be there.
    unread: {name: why} of options that documentation prints and no code reads. remarks: (level,
    text) to report whenever the class is used. denies_message: its verdict comes at the end of
    DATA. finish(scope, node, out): what one option cannot know."""

    def __init__(self, *packages, options=None, unread=None, remarks=(), denies_message=False,
                 finish=None, left_out=None, refused=None):
        self.packages = packages
        self.options = options or {}
        self.unread = unread or {}
        self.remarks = remarks
        self.denies_message = denies_message
        self.finish = finish
        self.left_out = left_out
        self.refused = refused


NO_CHECK_AUTH = {"checkAuthNetworks": "no code of James reads it: clients that may relay are never "
                                      "checked"}
BROKEN_TEST = "James does not start with this class: its test of the options is inverted; mxring " \
              "does what is documented"

CROWDSEC = "mxring does not ask a CrowdSec server: block addresses in the firewall"

HOOKS = {
    "ValidRcptHandler": Hook(FASTFAIL, options={
        "enableRecipientRewriteTable": opt.BOOL,
        "recipientRewriteTableCheck": opt.words("mappingExists", "anyMappingValid",
                                                "allMappingsValid")}),
    "MaxRcptHandler": Hook(FASTFAIL, options={"maxRcpt": opt.INT}, finish=opt.max_rcpt),
    "MaxUnknownCmdHandler": Hook(FASTFAIL, options={"maxUnknownCmdCount": opt.INT}),
    "EnforceHeaderLimitationsMessageHook": Hook(
        "smtpserver", options={"maxLines": opt.HEADER_LINES, "maxSize": opt.HEADER_SIZE},
        denies_message=True),
    "DNSRBLHandler": Hook(FASTFAIL, options={"rblservers": opt.RBL_SERVERS, "getDetail": opt.BOOL}),
    "SPFHandler": Hook(FASTFAIL, options={"blockSoftFail": opt.BOOL, "blockPermError": opt.BOOL},
                       unread=NO_CHECK_AUTH,
                       remarks=[(NOTE, "James closes the connection at the end of every message "
                                       "with this class; mxring does what is documented")]),
    "JDBCGreylistHandler": Hook(
        FASTFAIL,
        options={"tempBlockTime": opt.DURATION, "unseenLifeTime": opt.DURATION,
                 "autoWhiteListLifeTime": opt.DURATION, "whitelistedNetworks": opt.NETWORKS},
        unread={"sqlFile": "mxring needs no database for greylisting",
                "repositoryPath": "no code of James reads it"}),
    "ResolvableEhloHeloHandler": Hook(FASTFAIL, unread=NO_CHECK_AUTH),
    "ReverseEqualsEhloHeloHandler": Hook(
        FASTFAIL, unread=NO_CHECK_AUTH,
        remarks=[(WARNING, "James never runs its own test: it acts as ResolvableEhloHeloHandler")]),
    "ValidSenderDomainHandler": Hook(FASTFAIL, unread=NO_CHECK_AUTH),
    "ValidRcptMX": Hook(FASTFAIL, options={"invalidMXNetworks": opt.NETWORKS},
                        remarks=[(WARNING, BROKEN_TEST)]),
    "SpamTrapHandler": Hook(FASTFAIL, options={"spamTrapRecip": opt.TEXTS,
                                               "blockTime": opt.DURATION},
                            remarks=[(WARNING, BROKEN_TEST)]),
    "URIRBLHandler": Hook(FASTFAIL, options={"uriRblServers": opt.URIRBL_SERVERS,
                                             "getDetail": opt.BOOL},
                          unread={"action": "no code of James reads it"}, denies_message=True),
    "AllowedUnauthenticatedSender": Hook(
        FASTFAIL, options={"allowNullSender": opt.BOOL, "allowedSenders": opt.ALLOWED_SENDERS}),
    "EnforceMtaSts": Hook("smtpserver.tls"),
    "TestMtaSts": Hook("smtpserver.tls", left_out="it only writes to James's log"),
    "SmtpRequireTlsEhloHook": Hook("smtpserver.tls"),
    "SmtpRequireTlsParameterHook": Hook("smtpserver.tls"),
    "SmtpRequireTlsMessageHook": Hook("smtpserver.tls"),
    "DSNEhloHook": Hook("smtpserver.dsn"),
    "DSNMailParameterHook": Hook("smtpserver.dsn"),
    "DSNRcptParameterHook": Hook("smtpserver.dsn"),
    "DSNMessageHook": Hook("smtpserver.dsn"),
    "SmtpMtPriorityEhloHook": Hook("smtpserver.priority"),
    "SmtpMtPriorityParameterHook": Hook("smtpserver.priority"),
    "SmtpMtPriorityMessageHook": Hook("smtpserver.priority"),
    "FutureReleaseEHLOHook": Hook("smtpserver.futurerelease"),
    "FutureReleaseMailParameterHook": Hook("smtpserver.futurerelease"),
    "SmtpUtf8MailHook": Hook("smtpserver.smtputf8"),
    "SmtpUtf8RcptHook": Hook("smtpserver.smtputf8"),
    "MaxConnectionLifespanHandler": Hook("smtpserver.netty",
                                         options={"duration": opt.LIFESPAN}),
    "SetMimeHeaderHandler": Hook("smtpserver", options={"headername": opt.NEEDED_TEXT,
                                                        "headervalue": opt.NEEDED_TEXT}),
    "SetMailAttributeMessageHook": Hook("smtpserver", options={"name": opt.NEEDED_TEXT,
                                                               "value": opt.NEEDED_TEXT}),
    "MailPriorityHandler": Hook("smtpserver", options={"priorityEntries": opt.PRIORITIES}),
    "ConfigurationAuthHook": Hook("smtpserver", options={"accounts": opt.ACCOUNTS}),
    "UsersRepositoryAuthHook": Hook("smtpserver"),
    "POP3BeforeSMTPHandler": Hook(
        "smtpserver", options={"expireTime": opt.DURATION},
        refused="there is no POP3 server in mxring whose logins could tell it who may relay: let "
                "clients log in by AUTH"),
    "DKIMHook": Hook("smtpserver", options={
        "forceCRLF": opt.BOOL, "signatureRequired": opt.BOOL,
        "onlyForSenderDomain": opt.LIST, "validatedEntities": opt.LIST, "expectedDToken": opt.LIST},
        denies_message=True, finish=opt.dkim),
    "SupressDuplicateRcptHandler": Hook(
        "protocols.smtp.core.fastfail", "protocols.smtp.core",
        left_out="James does not suppress duplicates with it: they are accepted twice"),
    "AcceptRecipientIfRelayingIsAllowed": Hook("protocols.smtp.core",
                                               "protocols.smtp.core.fastfail"),
    "SpamAssassinHandler": Hook(
        "spamassassin", FASTFAIL,
        options={"spamdRejectionHits": opt.TEXT, "spamdHost": opt.TEXT, "spamdPort": opt.INT},
        denies_message=True, finish=opt.spamd),
    "CrowdsecEhloHook": Hook("crowdsec", refused=CROWDSEC),
    "CrowdsecSMTPConnectHandler": Hook("crowdsec", refused=CROWDSEC),
    "MailetContainerHandler": Hook(
        "lmtpserver", options={"splitExecution": opt.BOOL},
        left_out="mxring queues mail in its spool; unlike in James, the Received header and the "
                 "size limit apply"),
}

# In the core set of each protocol; listed in a file they add nothing.
CORE = {
    "smtpservers": """JamesWelcomeMessageHandler WelcomeMessageHandler CommandDispatcher
        SMTPCommandDispatcherLineHandler JamesDataCmdHandler DataCmdHandler EhloCmdHandler
        ExpnCmdHandler HeloCmdHandler HelpCmdHandler JamesMailCmdHandler MailCmdHandler
        NoopCmdHandler QuitCmdHandler JamesRcptCmdHandler RcptCmdHandler RsetCmdHandler
        VrfyCmdHandler MailSizeEsmtpExtension AuthRequiredToRelayRcptHook
        SenderAuthIdentifyVerificationHook SenderAuthIdentifyVerificationRcptHook
        PostmasterAbuseRcptHook ReceivedDataLineFilter DataLineJamesMessageHookHandler
        DataLineMessageHookHandler StartTlsCmdHandler AddDefaultAttributesMessageHook
        SendMailHandler UnknownCmdHandler""".split(),
    "lmtpservers": """LMTPWelcomeMessageHandler WelcomeMessageHandler CommandDispatcher
        JamesDataCmdHandler DataCmdHandler ExpnCmdHandler LhloCmdHandler JamesMailCmdHandler
        MailCmdHandler NoopCmdHandler QuitCmdHandler JamesRcptCmdHandler RcptCmdHandler
        RsetCmdHandler VrfyCmdHandler MailSizeEsmtpExtension StartTlsCmdHandler
        AuthRequiredToRelayRcptHook PostmasterAbuseRcptHook ReceivedDataLineFilter
        DataLineLMTPHandler MailboxDeliverToRecipientHandler UnknownCmdHandler""".split(),
}
# In the core set of SMTP, but not in that of NoAuthCmdHandlerLoader.
WITH_AUTH = ("AuthCmdHandler", "AuthRequiredHook")
LOADERS = ("CoreCmdHandlerLoader", "NoAuthCmdHandlerLoader", "MailetContainerCmdHandlerLoader",
           "JMXHandlersLoader")

BY_CLASS = {f"{ROOT}{package}.{name}": name
            for name, hook in HOOKS.items() for package in hook.packages}
