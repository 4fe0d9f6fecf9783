// Haraka plugin of bench/compare: every recipient is welcome, every message is dropped.
'use strict';

exports.hook_rcpt = function (next) {
    next(OK);
};

exports.hook_queue = function (next) {
    next(OK, 'dropped');
};
